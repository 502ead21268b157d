/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h: the commands of the program itself: what needs keys, the network or the whole data
 * folder. Those on an open replica are families of agent/cli/cli.h.
 *
 * To add one: its function here, a row in each of the two tables of main.c. */
#pragma once

#include "agent/cli/cli.h"
#include "agent/program.h"

enum exit_code command_enrol(struct program *program);
enum exit_code command_run(struct program *program);
enum exit_code command_sync(struct program *program);
enum exit_code command_unlock(struct program *program);
enum exit_code command_passphrase(struct program *program);
enum exit_code command_encrypt(struct program *program);
enum exit_code command_decrypt(struct program *program);
enum exit_code command_rescue(struct program *program);
/* A family's, with the replica opened for it. */
enum exit_code command_on_replica(struct program *program, const struct cli_family *family);
