/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon_inside.h"
#include "edge/clock.h"
#include "edge/entropy.h"

#include <string.h>

enum { RENEWAL_TRIES = 3 };

#define KEY_AGE_S_MAX (INT64_C(180) * 86400) /* then the device changes its keys */

void daemon_on_enrolled(struct daemon *daemon, struct bytes psk)
{
    struct problem problem = {0};
    enum result result;

    memcpy(daemon->keys->file.psk, psk.data, IDENTITY_KEY_SIZE);
    result = daemon->renewal->keys != NULL
                 ? renewal_finish(daemon->options->data_folder, daemon->keys, &problem)
                 : keys_save(daemon->options->data_folder, daemon->keys, &problem);
    if (result != RESULT_OK) {
        daemon_end(daemon, EXIT_CODE_FAILURE, problem.text);
        return;
    }
    daemon->outcome->is_enrolled = true;
    if (daemon->renewal->keys != NULL)
        daemon->options->keys->file = daemon->keys->file;
    log_event(daemon->options->log, LOG_LEVEL_NOTICE, "enrolled", LOG_NO_FIELDS);
}

/* The code becomes a file, then everything begins anew with it. */
void daemon_on_renew(struct daemon *daemon, struct bytes token)
{
    struct identity_code code = {.address = "renewal:1"};
    struct replica_identity who = {0};
    struct problem problem = {0};
    enum result result = replica_identity(daemon->replica, &who, &problem);

    memcpy(code.root_public_key, daemon->keys->file.root_public_key, sizeof code.root_public_key);
    memcpy(code.token_id, token.data, sizeof code.token_id);
    memcpy(code.secret, token.data + sizeof code.token_id, sizeof code.secret);
    if (result == RESULT_OK)
        result = renewal_begin(daemon->options->data_folder, daemon->keys, &code, who.replica_no,
                               &problem);
    identity_wipe(&code, sizeof code);
    daemon->is_renewing = result == RESULT_OK;
    daemon_end(daemon, result == RESULT_OK ? EXIT_CODE_OK : EXIT_CODE_FAILURE, problem.text);
}

/* The server doesn't know the code, perhaps because it was restored. Whoever still is what he was
 * asks with the old keys again; nothing else may follow from a word that isn't authenticated. */
void daemon_on_rejected(struct daemon *daemon)
{
    int tries = daemon->options->mode == DAEMON_RUN ? RENEWAL_TRIES : 1;
    struct replica_identity who = {0};
    struct problem problem = {0};

    if (daemon->renewal->keys == NULL || keys_are_enrolled(daemon->keys) ||
        ++daemon->rejected_count < tries)
        return;
    if (replica_identity(daemon->replica, &who, &problem) != RESULT_OK ||
        who.replica_no != daemon->renewal->former_no)
        return;
    if (renewal_drop(daemon->options->data_folder, &problem) == RESULT_OK)
        daemon->is_renewing = daemon->options->mode == DAEMON_RUN;
    log_event(daemon->options->log, LOG_LEVEL_WARNING, "renewal_rejected", LOG_NO_FIELDS);
    daemon_end(daemon, EXIT_CODE_AUTHENTICATION, "the server doesn't know the code");
}

/* Before the next step uses what was stored: a pair that only memory knows would lock us out. */
static void check_stored(struct daemon *daemon, enum result result, const struct problem *problem,
                         const char *event)
{
    if (result != RESULT_OK)
        daemon_end(daemon, EXIT_CODE_FAILURE, problem->text);
    else
        log_event(daemon->options->log, LOG_LEVEL_NOTICE, event, LOG_NO_FIELDS);
}

void daemon_on_next_psk(struct daemon *daemon, struct bytes psk)
{
    struct problem problem = {0};
    enum result result =
        keys_take_next_psk(daemon->options->data_folder, daemon->keys, psk, &problem);

    check_stored(daemon, result, &problem, "new_keys_stored");
}

void daemon_on_keys_rotated(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result = keys_rotate(daemon->options->data_folder, daemon->keys,
                                     clock_wall_now().us / SECONDS(1), &problem);

    check_stored(daemon, result, &problem, "new_keys_in_use");
}

void daemon_on_keys_reverted(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result = keys_revert(daemon->options->data_folder, daemon->keys, &problem);

    check_stored(daemon, result, &problem, "older_keys_in_use");
}

void daemon_rotate_keys(struct daemon *daemon)
{
    struct keys *keys = daemon->keys;
    struct problem problem = {0};
    uint8_t fresh[IDENTITY_KEY_SIZE];
    enum result result;

    entropy_fill(fresh, sizeof fresh);
    result = keys_begin_rotation(daemon->options->data_folder, keys, fresh, &problem);
    identity_wipe(fresh, sizeof fresh);
    if (result == RESULT_OK)
        daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_ROTATE,
                                                 .seed = keys->next.noise_private});
    else /* the old pair goes on; tried again a day later, or when the office asks again */
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "rotation_failed", result, &problem);
}

/* Keys of unknown age begin to age now. */
void daemon_look_at_age(struct daemon *daemon)
{
    struct keys *keys = daemon->keys;
    int64_t now_s = clock_wall_now().us / SECONDS(1);
    struct problem problem = {0};

    if (!mono_is_due(daemon->age_due, clock_mono_now()) || !keys_are_enrolled(keys))
        return;
    daemon->age_due = mono_after(clock_mono_now(), HOURS(24));
    if (keys->made_at_s == 0) {
        keys->made_at_s = now_s;
        if (keys_save_server(daemon->options->data_folder, keys, &problem) != RESULT_OK)
            log_problem(daemon->options->log, LOG_LEVEL_WARNING, "age_not_stored", RESULT_REFUSED,
                        &problem);
    } else if (now_s - keys->made_at_s > KEY_AGE_S_MAX && !keys->has_next) {
        daemon_rotate_keys(daemon);
    }
}

void daemon_note_serial(struct daemon *daemon, int64_t serial)
{
    struct keys *keys = daemon->keys;
    struct problem problem = {0};
    enum result result;

    if (serial <= keys->key_serial)
        return;
    keys->key_serial = serial;
    result = keys_save_server(daemon->options->data_folder, keys, &problem);
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "serial_not_stored", result, &problem);
}

/* All pairs of this device trust the new root; the files are written anew. */
void daemon_note_root(struct daemon *daemon, const uint8_t *root_public_key)
{
    struct keys *keys = daemon->keys;
    struct problem problem = {0};
    enum result result;

    if (memcmp(keys->file.root_public_key, root_public_key, IDENTITY_KEY_SIZE) == 0)
        return;
    memcpy(keys->file.root_public_key, root_public_key, IDENTITY_KEY_SIZE);
    memcpy(keys->next.root_public_key, root_public_key, IDENTITY_KEY_SIZE);
    memcpy(keys->previous.root_public_key, root_public_key, IDENTITY_KEY_SIZE);
    result = keys_save(daemon->options->data_folder, keys, &problem);
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "root_not_stored", result, &problem);
    else
        log_event(daemon->options->log, LOG_LEVEL_NOTICE, "new_root_key", LOG_NO_FIELDS);
}
