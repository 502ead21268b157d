/* SPDX-License-Identifier: Apache-2.0 */
/* Imports into a real master: public data sets, hand-made messes, second runs, failures. */
#include "import_kit.h"

/* ---- helpers ---- */

static void run_end(struct kit *kit)
{
    kit->report = *import_report(kit->import);
    import_destroy(kit->import);
    kit->import = NULL;
}

static enum result run_text(struct kit *kit, const struct import_profile *profile, const char *name,
                            struct kit_memory *memory)
{
    const struct csv_source source = {kit_read_memory, memory};
    const struct import_file *file = import_file_by_name(profile, name);
    enum result result;

    assert_non_null(file);
    kit_begin(kit, profile);
    result = import_read(kit->import, file, name, &source, &kit->problem);
    run_end(kit);
    return result;
}

static void import_text(struct kit *kit, const char *profile_name, const char *name,
                        const char *text)
{
    struct kit_memory memory = {.text = bytes_of_text(text)};

    kit_ok(kit, run_text(kit, import_profile_by_name(profile_name), name, &memory));
}

static const struct import_reason *reason_of(const struct kit *kit, const char *text)
{
    for (size_t i = 0; i < kit->report.reason_count; i++)
        if (strstr(kit->report.reasons[i].text, text) != NULL ||
            strcmp(kit->report.reasons[i].column, text) == 0)
            return &kit->report.reasons[i];
    fail_msg("no reason \"%s\"", text);
    return NULL;
}

static void print_report(const struct kit *kit, double seconds)
{
    const struct import_report *report = &kit->report;

    print_message("  %lld read in %.2f s (%.0f a second): %lld new, %lld changed, %lld same, "
                  "%lld skipped\n",
                  (long long)report->read, seconds, (double)report->read / seconds,
                  (long long)report->inserted, (long long)report->updated,
                  (long long)report->unchanged, (long long)report->skipped);
    for (size_t i = 0; i < report->count_count; i++)
        print_message("    %-18s %7lld %7lld %7lld\n", report->counts[i].table,
                      (long long)report->counts[i].inserted, (long long)report->counts[i].updated,
                      (long long)report->counts[i].unchanged);
    for (size_t i = 0; i < report->reason_count; i++)
        print_message("    %s %s %s: %s, %lld times, first at %lld (%s)\n",
                      report->reasons[i].is_skip ? "skipped" : "left out", report->reasons[i].file,
                      report->reasons[i].column, report->reasons[i].text,
                      (long long)report->reasons[i].count, (long long)report->reasons[i].lines[0],
                      report->reasons[i].sample);
}

static double seconds_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the public data sets ---- */

/* NULL: they aren't here, and the test is skipped. */
static const char *shared_data(void)
{
    const char *folder = getenv("FIELDSYNC_SHARED_DATA");

    if (folder == NULL || folder[0] == 0)
        folder = SOURCE_DIR "/../shared/data";
    if (access(folder, R_OK) == 0)
        return folder;
    print_message("  skipped: no public data sets in %s; set FIELDSYNC_SHARED_DATA\n", folder);
    return NULL;
}

/* All files of a profile that lie in a folder, in the profile's order. */
static void import_folder(struct kit *kit, const char *profile_name, const char *folder,
                          const char *single)
{
    const struct import_profile *profile = import_profile_by_name(profile_name);
    double begin = seconds_now();

    kit_begin(kit, profile);
    for (const struct import_file *file = profile->files; file->targets != NULL; file++) {
        const char *name = file->name != NULL ? file->name : single;
        char path[512];
        FILE *stream;

        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        stream = fopen(path, "rb");
        if (stream == NULL)
            fail_msg("no file %s", path);
        kit_ok(kit, import_read(kit->import, file, name,
                                &(const struct csv_source){kit_read_file, stream}, &kit->problem));
        (void)fclose(stream);
    }
    run_end(kit);
    print_report(kit, seconds_now() - begin);
    assert_true(seconds_now() - begin < 120);
}

static void assert_nothing_changed(const struct kit *kit, int64_t seq_before, int64_t seq_after)
{
    assert_int_equal(seq_before, seq_after);
    assert_int_equal(kit->report.inserted, 0);
    assert_int_equal(kit->report.updated, 0);
    for (size_t i = 0; i < kit->report.count_count; i++) {
        assert_int_equal(kit->report.counts[i].inserted, 0);
        assert_int_equal(kit->report.counts[i].updated, 0);
    }
}

static void import_twice(struct kit *kit, const char *profile, const char *folder,
                         const char *single)
{
    int64_t skipped;
    int64_t seq;

    import_folder(kit, profile, folder, single);
    skipped = kit->report.skipped;
    seq = kit_number(kit, "SELECT number FROM fs_state WHERE name = 'seq'");
    assert_true(seq > 0);
    import_folder(kit, profile, folder, single);
    assert_int_equal(kit->report.skipped, skipped);
    assert_nothing_changed(kit, seq,
                           kit_number(kit, "SELECT number FROM fs_state WHERE name = 'seq'"));
}

static void lifts_become_sites_and_assets_and_keep_their_serials(void **state)
{
    struct kit *kit = *state;
    const char *data = shared_data();
    char folder[512];

    if (data == NULL)
        skip();
    (void)snprintf(folder, sizeof folder, "%s/nyc-elevators", data);
    import_twice(kit, "nyc-elevators", folder, "elevators.csv");
    assert_int_equal(kit->report.read, 11951);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM asset") + kit->report.skipped, 11951);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM asset_model"), 9);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM asset WHERE serial = '1E217'"), 1);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM asset WHERE serial GLOB '[1-5]E[0-9]*'"),
                     kit_number(kit, "SELECT count(*) FROM asset WHERE serial_normalised GLOB"
                                     " '[1-5]E[0-9]*'"));
    assert_true(kit_number(kit, "SELECT count(*) FROM asset WHERE serial GLOB '[1-5]E[0-9]*'") >
                2600);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM site WHERE length(post_code) <> 5"), 0);
    assert_true(kit_number(kit, "SELECT count(*) FROM asset_event WHERE note LIKE '%¬%'") > 0);
    assert_true(reason_of(kit, "a dummy record of the source")->count >= 7);
    assert_int_equal(reason_of(kit, "asset.installed_d")->count, 24 + 6 + 1 + 1);
}

static void repair_events_become_closed_calls_in_all_languages(void **state)
{
    struct kit *kit = *state;
    const char *data = shared_data();
    char folder[512];

    if (data == NULL)
        skip();
    (void)snprintf(folder, sizeof folder, "%s/openrepair-restart", data);
    import_twice(kit, "openrepair", folder, "repair_events.csv");
    assert_int_equal(kit->report.read, 23940);
    assert_int_equal(kit->report.skipped, 0);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM call"), 23940);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM call WHERE state = 'closed'"), 23940);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM site"), 181);
    assert_int_equal(
        kit_number(kit, "SELECT count(*) FROM activity_result WHERE outcome = 'solved'"), 12409);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM activity_result WHERE is_follow_up = 1"),
                     6448);
    assert_int_equal(kit_number(kit,
                                "SELECT count(*) FROM party WHERE name = 'Réparothons INSERTECH"
                                " (Montreal)' AND country = 'CA'"),
                     1);
    assert_int_equal(kit_number(kit, "SELECT max(length(description)) FROM call"), 2048);
}

static void parts_stock_suppliers_and_shops_come_from_three_dialects(void **state)
{
    struct kit *kit = *state;
    const char *data = shared_data();
    char folder[512];

    if (data == NULL)
        skip();
    (void)snprintf(folder, sizeof folder, "%s/adventureworks", data);
    import_twice(kit, "adventureworks", folder, NULL);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM item"), 504);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM location"), 15);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party WHERE kind = 'supplier'"), 104);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party WHERE kind = 'customer'"), 701);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM site"), 701);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM stock_move") +
                         reason_of(kit, "stock_move.quantity_m")->count,
                     1069);
    assert_int_equal(kit_number(kit, "SELECT sum(quantity_m) FROM stock_balance"), 0);
    assert_int_equal(kit_number(kit, "SELECT quantity_m FROM stock_move m JOIN item i ON"
                                     " i.id = m.item_id JOIN location l ON l.id = m.to_location_id"
                                     " WHERE i.code = 'AR-5381' AND l.name = 'Tool Crib'"),
                     408000);
    assert_string_equal(kit_text(kit, "SELECT category FROM item WHERE code = 'BK-R93R-62'"),
                        "Road Bikes");
    assert_int_equal(kit_number(kit, "SELECT price_e4 FROM price p JOIN item i ON"
                                     " i.id = p.item_id WHERE i.code = 'BK-R93R-62'"),
                     35782700);
}

static void texts_of_technicians_become_work_logs_as_typed(void **state)
{
    struct kit *kit = *state;
    const char *data = shared_data();
    char folder[512];

    if (data == NULL)
        skip();
    (void)snprintf(folder, sizeof folder, "%s/maintnorm", data);
    import_twice(kit, "maintnorm", folder, NULL);
    assert_int_equal(kit->report.read, 8000);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM activity_result"), 8000);
    assert_int_equal(
        kit_number(kit, "SELECT count(*) FROM call c JOIN asset a ON a.id = c.asset_id WHERE"
                        " c.subject = 'PH639 RECTIFY STEERING FAULT' AND a.serial = 'PH639'"),
        1);
}

static void municipalities_in_windows_1252_keep_accents_and_zeros(void **state)
{
    struct kit *kit = *state;
    const char *data = shared_data();
    char folder[512];

    if (data == NULL)
        skip();
    (void)snprintf(folder, sizeof folder, "%s/italy-istat-comuni", data);
    import_twice(kit, "istat-comuni", folder, "istat20200101.csv");
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 7904);
    assert_string_equal(kit->report.encoding, "Windows-1252");
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party WHERE name = 'Comune di Agliè'"),
                     1);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM external_ref WHERE"
                                     " external_key = '001001'"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_open, kit_close)
        TEST(lifts_become_sites_and_assets_and_keep_their_serials),
        TEST(repair_events_become_closed_calls_in_all_languages),
        TEST(parts_stock_suppliers_and_shops_come_from_three_dialects),
        TEST(texts_of_technicians_become_work_logs_as_typed),
        TEST(municipalities_in_windows_1252_keep_accents_and_zeros),
#undef TEST
    };

    (void)import_text;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
