/* SPDX-License-Identifier: Apache-2.0 */
/* Imports into a real master: public data sets, hand-made messes, second runs, failures. */
#include "import_kit.h"

#include "server/service/import_generic.h"

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

/* ---- hand-made files ---- */

static void import_file(struct kit *kit, const struct import_profile *profile, const char *name)
{
    char path[512];
    FILE *stream;

    (void)snprintf(path, sizeof path, SOURCE_DIR "/tests/data/%s", name);
    stream = fopen(path, "rb");
    if (stream == NULL)
        fail_msg("no file %s", path);
    kit_begin(kit, profile);
    kit_ok(kit, import_read(kit->import, profile->files, name,
                            &(const struct csv_source){kit_read_file, stream}, &kit->problem));
    (void)fclose(stream);
    run_end(kit);
}

static void odd_values_are_left_out_and_odd_rows_skipped_with_their_lines(void **state)
{
    struct kit *kit = *state;

    import_file(kit, import_profile_by_name("nyc-elevators"), "lifts.csv");
    assert_int_equal(kit->report.read, 9);
    assert_int_equal(kit->report.inserted, 5);
    assert_int_equal(kit->report.skipped, 4);
    assert_int_equal(reason_of(kit, "asset.installed_d")->count, 3);
    assert_int_equal(reason_of(kit, "asset.installed_d")->lines[0], 3);
    assert_int_equal(reason_of(kit, "asset.installed_d")->lines[2], 5);
    assert_int_equal(reason_of(kit, "a dummy record")->lines[0], 6);
    assert_int_equal(reason_of(kit, "asset.site_id")->lines[0], 7);
    assert_int_equal(reason_of(kit, "4 fields in place of 27")->lines[0], 8);
    assert_int_equal(reason_of(kit, "the same key as an earlier record")->lines[0], 9);
    assert_false(reason_of(kit, "a day that doesn't exist")->is_skip);
    assert_string_equal(kit_text(kit, "SELECT serial FROM asset ORDER BY id LIMIT 1"), "1E217");
    assert_string_equal(kit_text(kit, "SELECT serial_normalised FROM asset ORDER BY id LIMIT 1"),
                        "1E217");
    assert_string_equal(kit_text(kit, "SELECT post_code FROM site WHERE name = '1 VIA ROMA'"),
                        "00100");
    assert_string_equal(kit_text(kit, "SELECT post_code FROM site WHERE name = '3 AVE C'"),
                        "10018");
    assert_string_equal(kit_text(kit, "SELECT post_code FROM site WHERE street LIKE '2 CORSO%'"),
                        "(null)");
    assert_string_equal(kit_text(kit, "SELECT name FROM site WHERE street LIKE '2 CORSO%'"),
                        "2 CORSO \"B\", PERÙ");
    assert_int_equal(kit_number(kit, "SELECT lat_e7 FROM site WHERE name = '1 VIA ROMA'"),
                     407644532);
    assert_int_equal(kit_number(kit, "SELECT lon_e7 FROM site WHERE name = '1 VIA ROMA'"),
                     -739541429);
    assert_int_equal(
        kit_number(kit, "SELECT count(*) FROM asset_event WHERE note LIKE '%travel 60''%'"), 1);
    assert_int_equal(
        kit_number(kit, "SELECT count(*) FROM asset_event WHERE note LIKE '%safety ¬%'"), 1);
}

static void a_dry_run_reports_the_same_and_writes_nothing(void **state)
{
    struct kit *kit = *state;
    struct import_report dry;

    kit->options.is_dry_run = true;
    import_file(kit, import_profile_by_name("nyc-elevators"), "lifts.csv");
    dry = kit->report;
    assert_int_equal(kit_number(kit, "SELECT number FROM fs_state WHERE name = 'seq'"), 0);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 0);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM external_ref"), 0);
    kit->options.is_dry_run = false;
    import_file(kit, import_profile_by_name("nyc-elevators"), "lifts.csv");
    dry.is_dry_run = false;
    assert_int_equal(dry.read, kit->report.read);
    assert_int_equal(dry.inserted, kit->report.inserted);
    assert_int_equal(dry.skipped, kit->report.skipped);
    assert_memory_equal(dry.counts, kit->report.counts, sizeof dry.counts);
    assert_int_equal(dry.reason_count, kit->report.reason_count);
    assert_memory_equal(dry.reasons, kit->report.reasons, sizeof dry.reasons);
}

/* ---- any table ---- */

/* A profile of pairs in the kit's arena. */
static const struct import_profile *generic(struct kit *kit, const char *table, const char *map,
                                            const char *key)
{
    const struct import_profile *profile = NULL;
    struct import_pair pairs[16];
    struct import_generic options = {
        .table = table, .system = "erp", .pairs = pairs, .key = key, .decimal_mark = ','};

    kit_ok(kit,
           import_generic_pairs(map, &kit->arena, pairs, 16, &options.pair_count, &kit->problem));
    kit_ok(kit,
           import_generic_profile(&kit->catalog, &options, &kit->arena, &profile, &kit->problem));
    return profile;
}

static void import_generic_text(struct kit *kit, const struct import_profile *profile,
                                const char *text)
{
    struct kit_memory memory = {.text = bytes_of_text(text)};

    kit_ok(kit, run_text(kit, profile, "any.csv", &memory));
}

static void customers_in_1252_and_utf_16_are_the_same_customers(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *profile;

    profile = generic(kit, "contact",
                      "Codice=phone,Ragione sociale=name,Città=role,Note=email,Codice=party_id",
                      "Codice");
    import_generic_text(kit, generic(kit, "party", "c=name,k=kind", "c"),
                        "c,k\n001,customer\n002,customer\n003,customer\n");
    import_file(kit, profile, "customers-1252.csv");
    assert_int_equal(kit->report.inserted, 2);
    assert_string_equal(kit->report.encoding, "Windows-1252");
    assert_int_equal(reason_of(kit, "contact.name")->lines[0], 5);
    assert_string_equal(kit_text(kit, "SELECT role FROM contact WHERE name = 'Società Però & C.'"),
                        "Agliè");
    assert_string_equal(kit_text(kit, "SELECT email FROM contact WHERE phone = '001'"),
                        "prima riga\nseconda; riga");
    import_file(kit, profile, "customers-utf16le.csv");
    assert_string_equal(kit->report.encoding, "UTF-16LE");
    assert_int_equal(kit->report.unchanged, 2);
    assert_int_equal(kit->report.inserted + kit->report.updated, 0);
}

static void kinds_of_values_follow_from_the_names_of_fields(void **state)
{
    struct kit *kit = *state;

    import_generic_text(
        kit,
        generic(kit, "item", "Codice=code,Nome=name,UM=unit_of_measure,Matr=is_serialised", NULL),
        "Codice;Nome;UM;Matr\nA1;Filtro;pz;si\nA2;Olio;l;no\nA3;Vite;pz;forse\n");
    assert_int_equal(reason_of(kit, "item.is_serialised")->lines[0], 4);
    assert_int_equal(kit_number(kit, "SELECT sum(is_serialised) FROM item"), 1);
    import_generic_text(kit, generic(kit, "item_cost", "C=item_id,D=from_d,E=cost_e4", "C"),
                        "C;D;E\nA1;2026-01-31;12,5\nA2;20260228;1,23456\nA3;2026-02-30;1\nA9;"
                        "2026-01-01;1\n");
    assert_int_equal(kit->report.inserted, 1);
    assert_int_equal(kit_number(kit, "SELECT cost_e4 FROM item_cost"), 125000);
    assert_string_equal(reason_of(kit, "item_cost.cost_e4")->sample, "1,23456");
    assert_int_equal(reason_of(kit, "item_cost.from_d")->lines[0], 4);
    assert_int_equal(reason_of(kit, "refers to a key that isn't there")->lines[0], 5);
}

static void an_item_that_is_here_already_is_the_same_item(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *other;

    import_generic_text(kit, generic(kit, "item", "c=code,n=name,u=unit_of_measure", NULL),
                        "c,n,u\nA1,Filter,pcs\n");
    other = generic(kit, "item", "c=code,n=name,u=unit_of_measure", NULL);
    kit->options.system = "another erp";
    import_generic_text(kit, other, "c,n,u\nA1,Filter 20 mm,pcs\n");
    assert_int_equal(kit->report.updated, 1);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM item"), 1);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM external_ref"), 2);
}

static void a_mapping_that_cannot_be_is_refused_with_the_names_there_are(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *profile = NULL;
    struct import_pair pairs[4];
    struct import_generic options = {.table = "site", .system = "erp", .pairs = pairs};
    struct kit_memory memory = {.text = bytes_of_text("x,y\n1,2\n")};

    assert_int_equal(
        import_generic_pairs("a", &kit->arena, pairs, 4, &options.pair_count, &kit->problem),
        RESULT_REFUSED);
    options.pair_count = 0;
    kit_ok(kit, import_generic_pairs("a\\,b\\=c=nome", &kit->arena, pairs, 4, &options.pair_count,
                                     &kit->problem));
    assert_true(bytes_equal(pairs[0].column, bytes_of_text("a,b=c")));
    assert_int_equal(
        import_generic_profile(&kit->catalog, &options, &kit->arena, &profile, &kit->problem),
        RESULT_REFUSED);
    assert_non_null(strstr(kit->problem.text, "access_note"));
    assert_int_equal(
        run_text(kit, generic(kit, "vat", "Codice=code,x=rate_bp", NULL), "a.csv", &memory),
        RESULT_REFUSED);
    assert_non_null(strstr(kit->problem.text, "there is no column \"Codice\""));
}

/* ---- second runs ---- */

static const char PARTIES[] = "id,name,kind\n1,Rossi,customer\n2,Bianchi,customer\n";

static void only_what_changed_in_the_source_is_written(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *profile = generic(kit, "party", "name=name,kind=kind", "id");

    import_generic_text(kit, profile, PARTIES);
    import_generic_text(kit, profile, "id,name,kind\n1,Rossi,customer\n2,Verdi,customer\n");
    assert_int_equal(kit->report.updated, 1);
    assert_int_equal(kit->report.unchanged, 1);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party WHERE name = 'Verdi'"), 1);
}

/* I8: the import doesn't overwrite what a person wrote on a device. */
static void what_people_did_here_stays(void **state)
{
    const struct author anna = {.replica_no = 7, .edited_at = {KIT_NOW.us}};
    const struct author office = {.edited_at = {KIT_NOW.us}};
    const struct work_field name[] = {{"name", value_text_of("Rossi (chiuso)")}, {.name = NULL}};
    struct kit *kit = *state;
    const struct import_profile *profile = generic(kit, "party", "name=name,kind=kind", "id");
    struct work_outcome outcome = {0};
    int64_t first;
    int64_t second;

    import_generic_text(kit, profile, PARTIES);
    first = kit_number(kit, "SELECT id FROM party WHERE name = 'Rossi'");
    second = kit_number(kit, "SELECT id FROM party WHERE name = 'Bianchi'");
    kit_ok(kit, store_begin(kit->store, STORE_WRITE, &kit->problem));
    kit_ok(kit, work_begin(kit->work, KIT_NOW, &kit->problem));
    kit_ok(kit, work_update_fields(kit->work, "party", first, name, &anna, &kit->problem));
    kit_ok(kit, work_delete(kit->work, catalog_table_by_name(&kit->catalog, "party"), second,
                            &office, &kit->problem));
    kit_ok(kit, work_finish(kit->work, &outcome, &kit->problem));
    kit_ok(kit, store_commit(kit->store, &kit->problem));
    import_generic_text(kit, profile, PARTIES);
    assert_int_equal(kit->report.updated + kit->report.inserted, 0);
    assert_int_equal(reason_of(kit, "edited on a device")->lines[0], 2);
    assert_int_equal(reason_of(kit, "deleted here since")->lines[0], 3);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party WHERE name = 'Rossi (chiuso)'"),
                     1);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 1);
}

static void a_fact_is_never_changed(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *events;

    import_file(kit, import_profile_by_name("nyc-elevators"), "lifts.csv");
    kit->options.system = "nyc-dob";
    events = generic(kit, "asset_event", "a=asset_id,k=kind,t=occurred_at,n=note", "key");
    import_generic_text(kit, events, "key;a;k;t;n\ne1;1E217;inspect;2026-01-01 10:30;ok\n");
    assert_int_equal(kit->report.inserted, 1);
    assert_int_equal(kit_number(kit, "SELECT occurred_at FROM asset_event WHERE note = 'ok'"),
                     INT64_C(1767263400000000));
    import_generic_text(kit, events, "key;a;k;t;n\ne1;1E217;inspect;2026-01-01 10:30;bad\n");
    assert_int_equal(kit->report.updated, 0);
    assert_int_equal(kit->report.unchanged, 1);
    assert_int_equal(reason_of(kit, "which is never changed")->lines[0], 2);
}

/* ---- when things go wrong ---- */

static void one_row_that_the_database_refuses_does_not_cost_its_batch(void **state)
{
    struct kit *kit = *state;

    import_generic_text(kit, generic(kit, "app_user", "l=login,n=name", "k"),
                        "k,l,n\n1,anna,Anna\n2,bruno,Bruno\n3,anna,Anna B.\n4,carla,Carla\n");
    assert_int_equal(kit->report.inserted, 3);
    assert_int_equal(kit->report.skipped, 1);
    assert_int_equal(reason_of(kit, "UNIQUE")->lines[0], 4);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM app_user"), 3);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM external_ref"), 3);
}

/* Many parties: "k,n,t" rows; in the kit's arena. */
static struct bytes many_parties(struct kit *kit, int count)
{
    char *text = arena_alloc(&kit->arena, (size_t)count * 48 + 16);
    size_t size = 0;

    assert_non_null(text);
    size += (size_t)snprintf(text, 16, "k,n,t\n");
    for (int i = 0; i < count; i++)
        size += (size_t)snprintf(text + size, 48, "%d,Customer number %d,customer\n", i, i);
    return bytes_of(text, size);
}

static void a_file_that_breaks_off_leaves_whole_batches_and_can_be_given_again(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *profile = generic(kit, "party", "n=name,t=kind", "k");
    struct kit_memory memory = {.text = many_parties(kit, 5000), .step = 1000, .fails_at = 150000};

    assert_int_equal(run_text(kit, profile, "p.csv", &memory), RESULT_STORAGE);
    assert_non_null(strstr(kit->problem.text, "p.csv"));
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 4000);
    assert_int_equal(kit->report.line_committed, 4001);
    assert_int_equal(kit->report.inserted, 4000);
    memory = (struct kit_memory){.text = memory.text};
    kit_ok(kit, run_text(kit, profile, "p.csv", &memory));
    assert_int_equal(kit->report.unchanged, 4000);
    assert_int_equal(kit->report.inserted, 1000);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 5000);
}

static void a_full_disk_leaves_whole_batches_and_a_usable_master(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *profile = generic(kit, "party", "n=name,t=kind", "k");
    struct kit_memory memory = {.text = many_parties(kit, 20000)};
    struct sql_database *database = sqlite_store_database(kit->store);
    char sql[64];
    int64_t count;

    (void)snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld",
                   (long long)kit_number(kit, "SELECT page_count + 400 FROM pragma_page_count"));
    kit_ok(kit, sql_exec(database, sql, &kit->problem));
    assert_int_equal(run_text(kit, profile, "p.csv", &memory), RESULT_EXHAUSTED);
    count = kit_number(kit, "SELECT count(*) FROM party");
    assert_true(count > 0 && count < 20000 && count % IMPORT_BATCH_ROWS == 0);
    assert_int_equal(kit->report.inserted, count);
    assert_int_equal(kit->report.line_committed, count + 1);
    kit_ok(kit, sql_exec(database, "PRAGMA max_page_count=1000000", &kit->problem));
    memory.at = 0;
    kit_ok(kit, run_text(kit, profile, "p.csv", &memory));
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 20000);
}

static void too_many_skipped_records_stop_the_run(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *profile = generic(kit, "party", "n=name,t=kind", "k");
    struct kit_memory memory = {.text = bytes_of_text("k,n,t\n1,A,customer\n2\n3\n4\n")};

    kit->options.skip_count_max = 2;
    assert_int_equal(run_text(kit, profile, "p.csv", &memory), RESULT_REFUSED);
    assert_non_null(strstr(kit->problem.text, "the limit is 2"));
    assert_int_equal(kit->report.skipped, 3);
    assert_int_equal(kit->report.inserted, 0);
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 0);
}

static void records_that_the_model_lacks_values_for_count_against_the_limit(void **state)
{
    struct kit *kit = *state;
    const struct import_profile *profile = generic(kit, "party", "n=name,t=kind", "k");
    struct kit_memory memory = {.text = bytes_of_text("k,n,t\n1,A,customer\n2,,x\n3,,x\n")};

    kit->options.skip_count_max = 1;
    assert_int_equal(run_text(kit, profile, "p.csv", &memory), RESULT_REFUSED);
    assert_int_equal(kit->report.skipped, 2);
    assert_int_equal(kit->report.inserted, 0); /* undone with its batch */
    assert_int_equal(kit_number(kit, "SELECT count(*) FROM party"), 0);
}

static void every_profile_fits_the_model(void **state)
{
    struct kit *kit = *state;

    for (const struct import_profile *profile = IMPORT_PROFILES; profile->name != NULL; profile++) {
        for (const struct import_file *file = profile->files; file->targets != NULL; file++) {
            for (const struct import_target *target = file->targets; target->table != NULL;
                 target++) {
                const struct catalog_table *table =
                    catalog_table_by_name(&kit->catalog, target->table);

                if ((target->flags & IMPORT_IS_MEMO) != 0)
                    continue;
                if (table == NULL)
                    fail_msg("%s: no table %s", profile->name, target->table);
                for (const struct import_column *column = target->columns; column->name != NULL;
                     column++)
                    if (catalog_column_by_name(table, column->name) == NULL)
                        fail_msg("%s: no column %s.%s", profile->name, target->table, column->name);
            }
        }
    }
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
        TEST(odd_values_are_left_out_and_odd_rows_skipped_with_their_lines),
        TEST(a_dry_run_reports_the_same_and_writes_nothing),
        TEST(customers_in_1252_and_utf_16_are_the_same_customers),
        TEST(kinds_of_values_follow_from_the_names_of_fields),
        TEST(an_item_that_is_here_already_is_the_same_item),
        TEST(a_mapping_that_cannot_be_is_refused_with_the_names_there_are),
        TEST(only_what_changed_in_the_source_is_written),
        TEST(what_people_did_here_stays),
        TEST(a_fact_is_never_changed),
        TEST(one_row_that_the_database_refuses_does_not_cost_its_batch),
        TEST(a_file_that_breaks_off_leaves_whole_batches_and_can_be_given_again),
        TEST(a_full_disk_leaves_whole_batches_and_a_usable_master),
        TEST(too_many_skipped_records_stop_the_run),
        TEST(records_that_the_model_lacks_values_for_count_against_the_limit),
        TEST(every_profile_fits_the_model),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
