/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/status_json.h"

#include "edge/reserve.h"
#include "edge/terminal.h"

static void put_text(struct terminal_json *json, const char *key, const char *text)
{
    terminal_json_key(json, key);
    terminal_json_text(json, text != NULL && text[0] != '\0' ? text : NULL);
}

static void put_boolean(struct terminal_json *json, const char *key, bool value)
{
    terminal_json_key(json, key);
    terminal_json_boolean(json, value);
}

static void put_number(struct terminal_json *json, const char *key, int64_t number)
{
    terminal_json_key(json, key);
    terminal_json_number(json, number);
}

static void put_time(struct terminal_json *json, const char *key, int64_t us)
{
    char text[WALL_TEXT_SIZE];

    wall_time_format((struct wall_time){us}, text);
    put_text(json, key, us == 0 ? NULL : text);
}

/* What only a running agent knows. */
static void put_state(struct terminal_json *json, bool is_running, const struct state_file *state,
                      const char *data_folder)
{
    uint64_t free_size = 0;
    enum reserve_room room = reserve_room(data_folder, RESERVE_DEVICE_SIZE, &free_size);

    put_boolean(json, "is_running", is_running);
    put_text(json, "state", is_running ? state->state : NULL);
    put_boolean(json, "is_idle", is_running && state->is_idle);
    put_boolean(json, "is_disk_full",
                room == RESERVE_ROOM_NONE || (is_running && state->is_disk_full));
    put_boolean(json, "is_disk_low", room != RESERVE_ROOM_AMPLE);
    put_time(json, "connected_at", is_running ? state->connected_at : 0);
    put_time(json, "unreachable_since", is_running ? state->unreachable_since : 0);
    put_time(json, "next_try_at", is_running ? state->next_try_at : 0);
    put_text(json, "last_failure", state->last_failure);
}

static void put_counts(struct terminal_json *json, const struct replica_counts *counts)
{
    put_number(json, "unsent", counts->unsealed + counts->unacknowledged);
    put_number(json, "refused", counts->refused);
    put_number(json, "parked", counts->parked);
    put_number(json, "quarantined", counts->quarantined);
    put_number(json, "files_to_send", counts->blobs_to_send);
    put_number(json, "file_bytes_to_send", counts->blob_bytes_to_send);
    put_number(json, "published_seq", counts->published_seq);
    put_time(json, "published_at", counts->published_at.us);
}

enum result status_json(struct replica *replica, const char *data_folder, bool is_running,
                        const struct state_file *state, struct buffer *out, struct problem *problem)
{
    struct replica_identity who = {0};
    struct replica_counts counts = {0};
    struct problem not_enrolled = {0};
    struct terminal_json json;
    enum result result = replica_counts(replica, &counts, problem);

    if (result != RESULT_OK)
        return result;
    if (replica_identity(replica, &who, &not_enrolled) != RESULT_OK)
        who = (struct replica_identity){0};
    terminal_json_init(&json, out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "user");
    terminal_json_text(&json, who.user_login);
    put_boolean(&json, "is_encrypted", replica_is_encrypted(replica));
    put_state(&json, is_running, state, data_folder);
    put_counts(&json, &counts);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}
