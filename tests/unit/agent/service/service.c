/* SPDX-License-Identifier: Apache-2.0 */
/* A technician's day on a device without a network. */
#include "tests/unit/agent/replica/kit.h"

#include "agent/service/activities.h"
#include "agent/service/calls.h"
#include "agent/service/inbox.h"
#include "agent/service/parts.h"
#include "agent/service/photos.h"
#include "agent/service/reports.h"
#include "agent/service/search.h"
#include "agent/service/signatures.h"
#include "agent/service/work_log.h"

#include <sodium.h>

enum { BLOBS_MAX = 16, BLOB_SIZE_MAX = 1 << 20 };

struct memory_blob {
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    struct buffer data;
    bool is_whole;
};

struct memory_store {
    struct blob_store store;
    size_t count;
    struct memory_blob blobs[BLOBS_MAX];
};

static struct memory_blob *blob_of(struct blob_store *store, const uint8_t *hash)
{
    struct memory_store *memory = (struct memory_store *)store;

    for (size_t i = 0; i < memory->count; i++)
        if (memcmp(memory->blobs[i].hash, hash, BLOB_STORE_HASH_SIZE) == 0)
            return &memory->blobs[i];
    assert_true(memory->count < BLOBS_MAX);
    memcpy(memory->blobs[memory->count].hash, hash, BLOB_STORE_HASH_SIZE);
    buffer_init(&memory->blobs[memory->count].data, BLOB_SIZE_MAX);
    return &memory->blobs[memory->count++];
}

static enum result memory_status(struct blob_store *store, const uint8_t *hash, int64_t *ret_size,
                                 bool *ret_is_whole, struct problem *problem)
{
    const struct memory_blob *blob = blob_of(store, hash);

    (void)problem;
    *ret_size = (int64_t)blob->data.size;
    *ret_is_whole = blob->is_whole;
    return RESULT_OK;
}

static enum result memory_append(struct blob_store *store, const uint8_t *hash, int64_t offset,
                                 struct bytes data, bool is_last, struct problem *problem)
{
    struct memory_blob *blob = blob_of(store, hash);

    assert_int_equal(offset, blob->data.size);
    blob->is_whole = is_last;
    return buffer_append(&blob->data, data.data, data.size, problem);
}

static enum result memory_read(struct blob_store *store, const uint8_t *hash, int64_t offset,
                               uint8_t *data, size_t size_max, size_t *ret_size,
                               struct problem *problem)
{
    const struct memory_blob *blob = blob_of(store, hash);
    size_t left = blob->data.size - (size_t)offset;

    (void)problem;
    *ret_size = left < size_max ? left : size_max;
    memcpy(data, blob->data.data + offset, *ret_size);
    return RESULT_OK;
}

static const struct blob_store_operations OPERATIONS = {
    .status = memory_status, .append = memory_append, .read = memory_read};
static const uint8_t SEED[32] = {1, 2, 3};
static const uint8_t SALT[REPORT_SALT_SIZE] = {4, 5, 6};

/* What the office has prepared: call 1 at site 1 with visit 1 for Anna (12), her van 3. */
static const char OFFICE[] =
    "BEGIN; INSERT INTO fs_flag(k) VALUES (1);"
    "UPDATE fs_state SET number = 10 WHERE name = 'published_seq';"
    "INSERT INTO app_user(id, login, name) VALUES (12, 'anna', 'Anna Rossi'), (13, 'bob', 'Bob');"
    "INSERT INTO role_grant(id, user_id, role) VALUES (1, 12, 'technician');"
    "INSERT INTO activity_type(id, name, mode, default_min) VALUES (1, 'visit', 'on_site', 60),"
    " (2, 'phone', 'phone', 15);"
    "INSERT INTO party(id, kind, name) VALUES (1, 'customer', 'Hotel Post');"
    "INSERT INTO site(id, party_id, name, city) VALUES (1, 1, 'Hotel Post, boiler room', "
    "'Bolzano');"
    "INSERT INTO asset_model(id, code, name, nature) VALUES (1, 'B1', 'Boiler', 'machine');"
    "INSERT INTO asset(id, model_id, serial, serial_normalised, site_id, owner_id)"
    " VALUES (1, 1, 'ab-12', 'AB12', 1, 1);"
    "INSERT INTO item(id, code, name, unit_of_measure, is_serialised) VALUES"
    " (1, 'FILTER-10', 'Filter', 'pcs', 0), (2, 'PUMP', 'Pump', 'pcs', 1);"
    "INSERT INTO location(id, kind, name, holder_id) VALUES (3, 'van', 'Van 7', 12),"
    " (9, 'warehouse', 'Main', NULL), (10, 'consumed', 'Consumed', NULL);"
    "INSERT INTO number_series(id, kind, prefix, user_id, device_id, next_n)"
    " VALUES (1, 'call', 'T07', 12, 70, 123);"
    "INSERT INTO call(id, number_text, channel, party_id, site_id, asset_id, subject, opened_at)"
    " VALUES (1, 'C2026-000001', 'phone', 1, 1, 1, 'No hot water 100%', 1);"
    "INSERT INTO activity(id, call_id, activity_type_id, technician_id, assign_version_n, state,"
    " home) VALUES (1, 1, 1, 12, 1, 'dispatched', (3 << 53) | 1);"
    "INSERT INTO activity_event(id, activity_id, kind, technician_id, base_version_n, base_state,"
    " occurred_at, by_id, by_roles, accepted_n, home) VALUES"
    " (1, 1, 'plan', 12, 0, 'draft', 1, 13, 'dispatcher', 1, (3 << 53) | 1),"
    " (2, 1, 'dispatch', 12, 0, 'planned', 2, 13, 'dispatcher', 2, (3 << 53) | 1);"
    "INSERT INTO stock_move(id, item_id, quantity_m, from_location_id, to_location_id,"
    " ledger_location_id, kind, occurred_at) VALUES (1, 1, 5000, 9, 3, 3, 'load', 1);"
    "DELETE FROM fs_flag; COMMIT";

struct day {
    struct kit *kit;
    struct arena arena;
    struct problem problem;
    struct memory_store memory;
    struct service service;
};

static struct day *day_begin(void **state)
{
    struct day *day = calloc(1, sizeof *day);

    assert_non_null(day);
    assert_true(sodium_init() >= 0);
    day->kit = *state;
    day->memory.store.operations = &OPERATIONS;
    arena_init(&day->arena, 64 << 20);
    sql(day->kit, "%s", OFFICE);
    OK(day,
       service_begin(day->kit->replica, &day->memory.store, NOON, &day->service, &day->problem));
    day->service.sign_secret_seed = SEED;
    return day;
}

static void day_end(struct day *day)
{
    for (size_t i = 0; i < day->memory.count; i++)
        buffer_done(&day->memory.blobs[i].data);
    arena_done(&day->arena);
    free(day);
}

#define REFUSED(day, call)                                                                         \
    do {                                                                                           \
        (day)->problem = (struct problem){0};                                                      \
        assert_int_equal(call, RESULT_REFUSED);                                                    \
        assert_string_not_equal((day)->problem.text, "");                                          \
    } while (0)

static const char *cell(struct day *day, const struct listing *listing, size_t row,
                        const char *name)
{
    for (size_t k = 0; k < listing->column_count; k++)
        if (strcmp(listing->columns[k].name, name) == 0) {
            const struct value *value = &listing->values[row * listing->column_count + k];

            return value->type == VALUE_INTEGER
                       ? arena_format(&day->arena, "%" PRId64, value->integer)
                       : service_text(&day->arena, value);
        }
    fail_msg("no column %s", name);
    return "";
}

static enum activity_state take_step(struct day *day, enum activity_kind kind)
{
    struct activity_step step = {.kind = kind, .reason = "because"};
    struct activity_view view = {0};

    day->service.now.us += MINUTES(5);
    OK(day, activity_do(&day->service, 1, &step, &view, &day->problem));
    assert_true(view.is_pending);
    return view.activity.state;
}

/* ---- visits ---- */

static void steps_show_at_once_and_stay_pending_until_the_server_answers(void **state)
{
    struct day *day = day_begin(state);
    struct activity_view view = {0};
    struct listing listing = {0};

    OK(day, activity_look(&day->service, 1, &view, &day->problem));
    assert_int_equal(view.activity.state, ACTIVITY_DISPATCHED);
    assert_false(view.is_pending);
    assert_int_equal(take_step(day, ACTIVITY_ACCEPT), ACTIVITY_ACCEPTED);
    assert_int_equal(take_step(day, ACTIVITY_DEPART), ACTIVITY_TRAVELLING);
    assert_int_equal(take_step(day, ACTIVITY_ARRIVE), ACTIVITY_ON_SITE);
    assert_int_equal(take_step(day, ACTIVITY_START), ACTIVITY_WORKING);
    assert_string_equal(rows(day->kit, "SELECT state FROM activity WHERE id = 1"), "dispatched");
    assert_string_equal(rows(day->kit, "SELECT kind, base_state, base_version_n, technician_id, "
                                       "by_id, device_id, accepted_n FROM activity_event "
                                       "WHERE id > 10 ORDER BY id LIMIT 2"),
                        "accept|dispatched|1|12|12|70|-;depart|accepted|1|12|12|70|-");
    OK(day, activity_list(&day->service, false, &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 1);
    assert_string_equal(cell(day, &listing, 0, "state"), "working");
    assert_string_equal(cell(day, &listing, 0, "pending"), "1");
    day_end(day);
}

static void a_step_that_does_not_fit_is_refused_and_leaves_nothing(void **state)
{
    struct day *day = day_begin(state);
    struct activity_step start = {.kind = ACTIVITY_RESUME};
    struct activity_step reject = {.kind = ACTIVITY_REJECT};

    REFUSED(day, activity_do(&day->service, 1, &start, NULL, &day->problem));
    REFUSED(day, activity_do(&day->service, 1, &reject, NULL, &day->problem)); /* no reason */
    REFUSED(day, activity_do(&day->service, 99, &start, NULL, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT count(*) FROM activity_event WHERE id > 10"), "0");
    assert_string_equal(rows(day->kit, "SELECT count(*) FROM fs_status"), "0");
    day_end(day);
}

static void own_unplanned_work_begins_accepted(void **state)
{
    struct day *day = day_begin(state);
    struct call_draft draft = {.site_id = 1, .subject = "Noise in the lift", .is_mine = true};
    struct activity_step start = {.kind = ACTIVITY_DEPART};
    struct activity_view view = {0};
    char number[CALL_NUMBER_SIZE];
    int64_t call_id = 0;
    int64_t activity_id = 0;

    OK(day, call_open(&day->service, &draft, &call_id, &activity_id, number, &day->problem));
    OK(day, activity_look(&day->service, activity_id, &view, &day->problem));
    assert_int_equal(view.activity.state, ACTIVITY_ACCEPTED);
    OK(day, activity_do(&day->service, activity_id, &start, &view, &day->problem));
    assert_int_equal(view.activity.state, ACTIVITY_TRAVELLING);
    day_end(day);
}

static void the_report_keeps_what_is_not_given_again(void **state)
{
    struct day *day = day_begin(state);

    OK(day, activity_report(&day->service, 1,
                            &(struct activity_words){.outcome = "solved", .report = "cleaned"},
                            &day->problem));
    OK(day, activity_report(&day->service, 1, &(struct activity_words){.follow_up = "new pump"},
                            &day->problem));
    REFUSED(day, activity_report(&day->service, 1, &(struct activity_words){.outcome = "perfect"},
                                 &day->problem));
    assert_string_equal(rows(day->kit, "SELECT outcome, report_text, is_follow_up, follow_up_note "
                                       "FROM activity_result"),
                        "solved|cleaned|1|new pump");
    day_end(day);
}

/* ---- calls ---- */

static void a_call_opened_offline_has_its_number_for_ever(void **state)
{
    struct day *day = day_begin(state);
    struct call_draft draft = {.asset_id = 1, .subject = "Leak", .priority = 2};
    char number[CALL_NUMBER_SIZE];
    int64_t call_id = 0;
    int64_t activity_id = 0;

    OK(day, call_open(&day->service, &draft, &call_id, &activity_id, number, &day->problem));
    assert_string_equal(number, "T07-000123");
    assert_int_equal(activity_id, 0);
    assert_string_equal(rows(day->kit, "SELECT number_text, party_id, site_id, channel, state, "
                                       "opened_by_id FROM call WHERE id > 1"),
                        "T07-000123|1|1|device|new|12");
    assert_string_equal(rows(day->kit, "SELECT next_n FROM number_series"), "124");
    draft.subject = "";
    REFUSED(day, call_open(&day->service, &draft, &call_id, &activity_id, number, &day->problem));
    draft = (struct call_draft){.subject = "Where?"};
    REFUSED(day, call_open(&day->service, &draft, &call_id, &activity_id, number, &day->problem));
    draft.site_id = 77;
    REFUSED(day, call_open(&day->service, &draft, &call_id, &activity_id, number, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT next_n FROM number_series"), "124");
    day_end(day);
}

static void calls_are_listed_shown_noted_and_found(void **state)
{
    struct day *day = day_begin(state);
    struct listing listing = {0};
    struct call_view view = {0};
    int64_t id = 0;

    OK(day, call_list(&day->service, CALLS_MINE, &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 1);
    assert_string_equal(cell(day, &listing, 0, "number"), "C2026-000001");
    OK(day, call_note_add(&day->service, 1, "ring twice", true, &id, &day->problem));
    REFUSED(day, call_note_add(&day->service, 1, "", true, &id, &day->problem));
    OK(day, call_show(&day->service, 1, &day->arena, &view, &day->problem));
    assert_int_equal(view.notes.row_count, 1);
    assert_int_equal(view.activities.row_count, 1);
    assert_string_equal(cell(day, &view.call, 0, "party"), "Hotel Post");
    REFUSED(day, call_show(&day->service, 5, &day->arena, &view, &day->problem));
    OK(day, search_all(&day->service, "hot WATER 100%", &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 1);
    OK(day, search_all(&day->service, "10%", &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 0); /* a % is a % */
    OK(day, search_all(&day->service, "hotel", &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 2); /* site and customer */
    REFUSED(day, search_all(&day->service, "x", &day->arena, &listing, &day->problem));
    day_end(day);
}

static void rows_are_named_by_id_or_by_a_name_that_only_one_has(void **state)
{
    struct day *day = day_begin(state);
    int64_t id = 0;

    OK(day, service_find_call(&day->service, "C2026-000001", &id, &day->problem));
    assert_int_equal(id, 1);
    OK(day, service_find_activity(&day->service, "C2026-000001", &id, &day->problem));
    assert_int_equal(id, 1);
    OK(day, service_find_item(&day->service, "FILTER-10", &id, &day->problem));
    OK(day, service_find_asset(&day->service, "ab-12", &id, &day->problem));
    OK(day, service_find_site(&day->service, "hotel post, BOILER room", &id, &day->problem));
    REFUSED(day, service_find_call(&day->service, "1x", &id, &day->problem));
    REFUSED(day, service_find_call(&day->service, "99999999999999999999", &id, &day->problem));
    REFUSED(day, service_find_item(&day->service, "' OR 1=1 --", &id, &day->problem));
    sql(day->kit, "INSERT INTO fs_flag(k) VALUES (1); INSERT INTO site(id, party_id, name) VALUES"
                  " (2, 1, 'Twin'), (3, 1, 'Twin'); DELETE FROM fs_flag");
    REFUSED(day, service_find_site(&day->service, "Twin", &id, &day->problem));
    day_end(day);
}

/* ---- time, money, parts ---- */

static void time_and_money_are_facts_that_are_voided_and_never_changed(void **state)
{
    struct day *day = day_begin(state);
    struct work_entry work = {.activity_id = 1,
                              .started_at = NOON.us - MINUTES(90),
                              .ended_at = NOON.us,
                              .break_min = 10};
    struct expense_entry meal = {
        .activity_id = 1, .kind = "meal", .amount_cents = 1250, .day = "2026-11-18"};
    struct listing listing = {0};
    int64_t id = 0;
    int64_t void_id = 0;

    OK(day, work_log_add(&day->service, &work, &id, &day->problem));
    OK(day, work_log_list(&day->service, 1, &day->arena, &listing, &day->problem));
    assert_string_equal(cell(day, &listing, 0, "minutes"), "80");
    OK(day, work_log_void(&day->service, id, &void_id, &day->problem));
    REFUSED(day, work_log_void(&day->service, id, &void_id, &day->problem));
    REFUSED(day, work_log_void(&day->service, void_id, &void_id, &day->problem));
    OK(day, work_log_list(&day->service, 1, &day->arena, &listing, &day->problem));
    assert_string_equal(cell(day, &listing, 0, "is_void"), "1");
    assert_string_equal(rows(day->kit, "SELECT count(*) FROM work_session"), "2");
    work.break_min = 90;
    REFUSED(day, work_log_add(&day->service, &work, &id, &day->problem));
    work = (struct work_entry){.activity_id = 1, .started_at = 5, .ended_at = 5};
    REFUSED(day, work_log_add(&day->service, &work, &id, &day->problem));
    OK(day, expense_add(&day->service, &meal, &id, &day->problem));
    OK(day, expense_void(&day->service, id, &void_id, &day->problem));
    REFUSED(day, expense_void(&day->service, id, &void_id, &day->problem));
    meal.day = "2026-02-30";
    REFUSED(day, expense_add(&day->service, &meal, &id, &day->problem));
    meal.day = "2026-02-28";
    meal.kind = "champagne";
    REFUSED(day, expense_add(&day->service, &meal, &id, &day->problem));
    day_end(day);
}

static void the_van_counts_down_what_is_used_before_the_server_posts_it(void **state)
{
    struct day *day = day_begin(state);
    struct part_entry use = {.activity_id = 1, .item_id = 1, .used_m = 2000};
    struct listing listing = {0};
    int64_t id = 0;
    int64_t void_id = 0;

    OK(day, part_use_add(&day->service, &use, &id, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT from_location_id, asset_id, by_id FROM part_use"),
                        "3|1|12");
    OK(day, van_show(&day->service, &day->arena, &listing, &day->problem));
    assert_string_equal(cell(day, &listing, 0, "quantity"), "3000");
    assert_string_equal(cell(day, &listing, 0, "unposted"), "2000");
    sql(day->kit,
        "BEGIN; INSERT INTO fs_flag(k) VALUES (1);"
        "INSERT INTO stock_move(id, item_id, quantity_m, from_location_id, to_location_id,"
        " ledger_location_id, kind, source_kind, source_id, occurred_at)"
        " VALUES (2, 1, 2000, 3, 10, 3, 'use', 'part_use', %" PRId64 ", 5);"
        "DELETE FROM fs_flag; COMMIT",
        id);
    OK(day, van_show(&day->service, &day->arena, &listing, &day->problem));
    assert_string_equal(cell(day, &listing, 0, "quantity"), "3000");
    assert_string_equal(cell(day, &listing, 0, "unposted"), "0");
    OK(day, part_use_void(&day->service, id, &void_id, &day->problem));
    OK(day, van_show(&day->service, &day->arena, &listing, &day->problem));
    assert_string_equal(cell(day, &listing, 0, "quantity"), "5000");
    REFUSED(day, part_use_void(&day->service, id, &void_id, &day->problem));
    day_end(day);
}

static void parts_with_serial_numbers_ask_for_them(void **state)
{
    struct day *day = day_begin(state);
    struct part_entry use = {.activity_id = 1, .item_id = 2, .used_m = 1000};
    int64_t id = 0;

    REFUSED(day, part_use_add(&day->service, &use, &id, &day->problem));
    use.serial = "1E217";
    OK(day, part_use_add(&day->service, &use, &id, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT serial, serial_normalised FROM serial_unit"),
                        "1E217|1E217");
    OK(day, part_use_add(&day->service, &use, &id, &day->problem)); /* the same unit again */
    assert_string_equal(rows(day->kit, "SELECT count(*) FROM serial_unit"), "1");
    use.used_m = 2000;
    REFUSED(day, part_use_add(&day->service, &use, &id, &day->problem));
    use.used_m = 0;
    REFUSED(day, part_use_add(&day->service, &use, &id, &day->problem));
    day_end(day);
}

static void a_count_is_written_with_its_lines_or_not_at_all(void **state)
{
    struct day *day = day_begin(state);
    const struct van_count_line good[] = {{1, 4000}, {2, 0}};
    const struct van_count_line twice[] = {{1, 4000}, {1, 0}};
    int64_t id = 0;

    OK(day, van_count(&day->service, good, 2, &id, &day->problem));
    assert_string_equal(rows(day->kit,
                             "SELECT count_id = %" PRId64 ", item_id, counted_m FROM"
                             " count_line ORDER BY item_id",
                             id),
                        "1|1|4000;1|2|0");
    REFUSED(day, van_count(&day->service, twice, 2, &id, &day->problem));
    REFUSED(day, van_count(&day->service, NULL, 0, &id, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT count(*) FROM stock_count"), "1");
    day_end(day);
}

/* ---- files and signatures ---- */

static void a_file_is_stored_once_under_its_hash_before_its_row(void **state)
{
    struct day *day = day_begin(state);
    struct photo photo = {
        .activity_id = 1, .name = "Boiler.JPG", .content = bytes_of_text("not really a photo")};
    struct listing listing = {0};
    int64_t id = 0;

    OK(day, photo_add(&day->service, &photo, &id, &day->problem));
    OK(day, photo_add(&day->service, &photo, &id, &day->problem));
    assert_int_equal(day->memory.count, 1);
    assert_true(day->memory.blobs[0].is_whole);
    assert_string_equal(rows(day->kit, "SELECT DISTINCT mime_type, size_n, length(content_hash) "
                                       "FROM attachment"),
                        "image/jpeg|18|64");
    OK(day, photo_list(&day->service, 1, &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 2);
    photo.content.size = 0;
    REFUSED(day, photo_add(&day->service, &photo, &id, &day->problem));
    day_end(day);
}

static void record_work(struct day *day, int64_t *ret_id)
{
    struct work_entry work = {
        .activity_id = 1, .started_at = NOON.us - HOURS(1), .ended_at = NOON.us};

    OK(day, work_log_add(&day->service, &work, ret_id, &day->problem));
}

/* I13: a signed work report can't change without the signature showing it. */
static void a_change_after_the_signature_shows_what_changed(void **state)
{
    struct day *day = day_begin(state);
    struct signature_draft draft = {.activity_id = 1, .salt = SALT, .signer_name = "Maria Rossi"};
    struct signature_check *checks = NULL;
    size_t count = 0;
    int64_t id = 0;

    record_work(day, &id);
    OK(day, signature_add(&day->service, &draft, &id, &day->problem));
    day->service.now.us += MINUTES(1);
    draft.signer_role = "owner";
    OK(day, signature_add(&day->service, &draft, &id, &day->problem));
    OK(day, signature_verify(&day->service, 0, &day->arena, &checks, &count, &day->problem));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(checks[i].is_own_device && checks[i].is_key_good && checks[i].is_chain_good);
        assert_true(checks[i].is_unchanged);
    }
    assert_string_equal(rows(day->kit, "SELECT version_n FROM signature ORDER BY id"), "1;2");
    record_work(day, &id);
    OK(day, signature_verify(&day->service, 1, &day->arena, &checks, &count, &day->problem));
    assert_false(checks[0].is_unchanged);
    assert_non_null(strstr(checks[0].difference, "+ work "));
    assert_null(strstr(checks[0].difference, "- "));
    day_end(day);
}

static void an_altered_or_removed_signature_is_seen(void **state)
{
    struct day *day = day_begin(state);
    struct signature_draft draft = {.activity_id = 1, .salt = SALT, .signer_name = "Maria Rossi"};
    struct signature_check *checks = NULL;
    size_t count = 0;
    int64_t ids[3];

    for (int i = 0; i < 3; i++) {
        day->service.now.us += MINUTES(1);
        OK(day, signature_add(&day->service, &draft, &ids[i], &day->problem));
    }
    sql(day->kit,
        "BEGIN; INSERT INTO fs_flag(k) VALUES (1); DELETE FROM report_seal WHERE signature_id = "
        "%" PRId64 "; DELETE FROM signature WHERE id = (SELECT id FROM signature WHERE version_n = "
        "2); UPDATE signature SET signer_name = 'Mario Rossi' WHERE id = %" PRId64
        "; DELETE FROM fs_flag; COMMIT",
        ids[1], ids[0]);
    OK(day, signature_verify(&day->service, 1, &day->arena, &checks, &count, &day->problem));
    assert_int_equal(count, 2);
    assert_true(checks[0].is_key_good); /* the seal itself is whole */
    assert_string_equal(checks[0].difference, "! the signer's name is not what was signed\n");
    assert_true(checks[1].is_key_good && checks[1].is_unchanged);
    assert_false(checks[1].is_chain_good); /* the one before it is gone */
    sql(day->kit, "BEGIN; INSERT INTO fs_flag(k) VALUES (1); UPDATE report_seal SET sealed = "
                  "replace(sealed, 'version 1', 'version 7'); DELETE FROM fs_flag; COMMIT");
    OK(day, signature_verify(&day->service, 1, &day->arena, &checks, &count, &day->problem));
    assert_false(checks[0].is_key_good);
    day_end(day);
}

static void refusals_are_recorded_and_strokes_are_checked(void **state)
{
    struct day *day = day_begin(state);
    struct signature_draft draft = {.activity_id = 1,
                                    .salt = SALT,
                                    .signer_name = "Maria Rossi",
                                    .refused_reason = "too expensive"};
    struct buffer strokes;
    int64_t id = 0;

    OK(day, signature_add(&day->service, &draft, &id, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT strokes IS NULL, refused_reason FROM signature"),
                        "1|too expensive");
    buffer_init(&strokes, 4096);
    OK(day, signature_strokes_parse(bytes_of_text("1 2 3 4\n5 6 7 8\n\n9 10 11 12\n"), &strokes,
                                    &day->problem));
    assert_int_equal(strokes.size, 1 + 2 + 16 + 2 + 8);
    assert_int_equal(strokes.data[2], 2);  /* two points in the first stroke */
    assert_int_equal(strokes.data[20], 1); /* one in the second */
    buffer_reset(&strokes);
    REFUSED(day, signature_strokes_parse(bytes_of_text("1 2 3\n"), &strokes, &day->problem));
    REFUSED(day, signature_strokes_parse(bytes_of_text("10001 2 3 4\n"), &strokes, &day->problem));
    REFUSED(day, signature_strokes_parse(bytes_of_text("\n\n"), &strokes, &day->problem));
    buffer_done(&strokes);
    draft.signer_name = "";
    REFUSED(day, signature_add(&day->service, &draft, &id, &day->problem));
    day->service.sign_secret_seed = NULL;
    draft.signer_name = "Maria";
    REFUSED(day, signature_add(&day->service, &draft, &id, &day->problem));
    day->service.sign_secret_seed = SEED;
    day->service.who.published_seq = 0; /* the signature that this one follows may not be here */
    REFUSED(day, signature_add(&day->service, &draft, &id, &day->problem));
    assert_non_null(strstr(day->problem.text, "sync first"));
    day_end(day);
}

static void reports_differ_line_by_line(void **state)
{
    struct day *day = day_begin(state);
    struct buffer difference;

    buffer_init(&difference, 1024);
    OK(day, report_difference(bytes_of_text("a\nb\n"), bytes_of_text("a\nc\n"), &difference,
                              &day->problem));
    assert_int_equal(difference.size, 8);
    assert_memory_equal(difference.data, "- b\n+ c\n", 8);
    buffer_done(&difference);
    day_end(day);
}

/* ---- inbox ---- */

/* I8: a value that lost and a change that was refused are kept and can be written again. */
static void what_lost_or_was_refused_is_written_again_or_let_go(void **state)
{
    struct day *day = day_begin(state);
    struct listing listing = {0};

    sql(day->kit,
        "BEGIN; INSERT INTO fs_flag(k) VALUES (1);"
        "INSERT INTO merge_loss(id, table_name, row_id, column_name, kept, lost, user_id, rule,"
        " occurred_at) VALUES (1, 'site', 1, 'access_note', 'x', 'code 4711', 12, 'last writer', "
        "5),"
        " (2, 'site', 1, 'base_km_m', '5', 'many', 12, 'last writer', 6),"
        " (3, 'site', 1, 'name', 'a', 'b', 13, 'last writer', 6),"
        " (4, 'sqlite_master', 1, 'sql', 'a', 'b', 12, 'last writer', 6);"
        "INSERT INTO review_item(id, kind, table_name, reason_code, reason_text, role, payload,"
        " user_id, created_at) VALUES (8, 'refused', 'call_note', 'r', 'why', 'dispatcher',"
        " '{\"op\":\"insert\",\"table\":\"call_note\",\"id\":60129542145,\"values\":{\"call_id\":1,"
        "\"occurred_at\":9,\"by_id\":12,\"body\":\"kept\"}}', 12, 7);"
        "DELETE FROM fs_flag; COMMIT");
    OK(day, inbox_list(&day->service, &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 4); /* not Bob's */
    OK(day, inbox_reapply(&day->service, 1, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT access_note FROM site"), "code 4711");
    assert_string_equal(rows(day->kit, "SELECT state FROM merge_loss WHERE id = 1"), "reapplied");
    REFUSED(day, inbox_reapply(&day->service, 1, &day->problem)); /* settled */
    REFUSED(day, inbox_reapply(&day->service, 2, &day->problem)); /* no number */
    REFUSED(day, inbox_reapply(&day->service, 3, &day->problem)); /* somebody else's */
    REFUSED(day, inbox_reapply(&day->service, 4, &day->problem)); /* no table of the catalog */
    OK(day, inbox_discard(&day->service, 2, &day->problem));
    OK(day, inbox_reapply(&day->service, 8, &day->problem));
    assert_string_equal(rows(day->kit, "SELECT body, call_id FROM call_note"), "kept|1");
    assert_string_equal(rows(day->kit, "SELECT state FROM review_item"), "reapplied");
    OK(day, inbox_list(&day->service, &day->arena, &listing, &day->problem));
    assert_int_equal(listing.row_count, 1);
    day_end(day);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(steps_show_at_once_and_stay_pending_until_the_server_answers),
        TEST(a_step_that_does_not_fit_is_refused_and_leaves_nothing),
        TEST(own_unplanned_work_begins_accepted),
        TEST(the_report_keeps_what_is_not_given_again),
        TEST(a_call_opened_offline_has_its_number_for_ever),
        TEST(calls_are_listed_shown_noted_and_found),
        TEST(rows_are_named_by_id_or_by_a_name_that_only_one_has),
        TEST(time_and_money_are_facts_that_are_voided_and_never_changed),
        TEST(the_van_counts_down_what_is_used_before_the_server_posts_it),
        TEST(parts_with_serial_numbers_ask_for_them),
        TEST(a_count_is_written_with_its_lines_or_not_at_all),
        TEST(a_file_is_stored_once_under_its_hash_before_its_row),
        TEST(a_change_after_the_signature_shows_what_changed),
        TEST(an_altered_or_removed_signature_is_seen),
        TEST(refusals_are_recorded_and_strokes_are_checked),
        TEST(reports_differ_line_by_line),
        TEST(what_lost_or_was_refused_is_written_again_or_let_go),
    };

    return RUN(tests);
}
