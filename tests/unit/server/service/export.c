/* SPDX-License-Identifier: Apache-2.0 */
/* Exports, and that they come back as they went. */
#include "import_kit.h"

#include "server/service/export.h"
#include "server/service/import_generic.h"

static enum result collect(void *context, struct bytes piece, struct problem *problem)
{
    return buffer_append(context, piece.data, piece.size, problem);
}

static enum result refuse(void *context, struct bytes piece, struct problem *problem)
{
    (void)context;
    (void)piece;
    return problem_set(problem, RESULT_REFUSED, "the reader went away");
}

static int64_t export_to(struct kit *kit, const char *table, enum export_form form,
                         bool for_spreadsheet, struct buffer *out)
{
    const struct export_options options = {.store = kit->store,
                                           .table = table,
                                           .form = form,
                                           .for_spreadsheet = for_spreadsheet,
                                           .write = collect,
                                           .context = out};
    int64_t count = -1;

    buffer_reset(out);
    kit_ok(kit, export_table(&options, &count, &kit->problem));
    return count;
}

static void insert(struct kit *kit, const char *table, const struct work_field *fields)
{
    static const uint8_t KEY[16] = {1, 2, 3};
    const struct author office = {.edited_at = {KIT_NOW.us}};
    struct work_outcome outcome = {0};
    int64_t id = 0;

    if (kit->work == NULL)
        kit_ok(kit, work_create(kit->store, NULL, KEY, &kit->work, &kit->problem));
    kit_ok(kit, store_begin(kit->store, STORE_WRITE, &kit->problem));
    kit_ok(kit, work_begin(kit->work, KIT_NOW, &kit->problem));
    kit_ok(kit, work_insert_fields(kit->work, table, fields, &office, &id, &kit->problem));
    kit_ok(kit, work_finish(kit->work, &outcome, &kit->problem));
    kit_ok(kit, store_commit(kit->store, &kit->problem));
}

static void insert_parties(struct kit *kit)
{
    static const char *const NAMES[] = {
        "Società \"Però\", C.", "=1+1", "due\nrighe", "00100", "1E217", " x "};

    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const struct work_field fields[] = {{"kind", value_text_of("customer")},
                                            {"name", value_text_of(NAMES[i])},
                                            {"street", i == 0 ? value_text_of("") : value_null()},
                                            {"withholding_bp", value_integer((int64_t)i * 2000)},
                                            {.name = NULL}};

        insert(kit, "party", fields);
    }
}

static void a_table_becomes_csv_with_a_heading(void **state)
{
    struct kit *kit = *state;
    const struct work_field fields[] = {{"code", value_text_of("A1")},
                                        {"name", value_text_of("=Filter, 20 mm")},
                                        {"unit_of_measure", value_text_of("pcs")},
                                        {.name = NULL}};
    struct buffer out;

    buffer_init(&out, 1 << 20);
    insert(kit, "item", fields);
    assert_int_equal(export_to(kit, "item", EXPORT_CSV, false, &out), 1);
    assert_int_equal(buffer_append(&out, "", 1, &kit->problem), RESULT_OK);
    assert_string_equal((const char *)out.data,
                        "id,code,name,unit_of_measure,category,is_stocked,is_serialised,barcode,"
                        "issue_mode\r\n1,A1,\"=Filter, 20 mm\",pcs,,1,0,,on_use\r\n");
    assert_int_equal(export_to(kit, "item", EXPORT_CSV, true, &out), 1);
    assert_int_equal(buffer_append(&out, "", 1, &kit->problem), RESULT_OK);
    assert_non_null(strstr((const char *)out.data, "\"'=Filter, 20 mm\""));
    buffer_done(&out);
}

static void a_table_becomes_json_objects(void **state)
{
    struct kit *kit = *state;
    const struct work_field fields[] = {{"login", value_text_of("anna")},
                                        {"name", value_text_of("Anna \"Però\"\n")},
                                        {.name = NULL}};
    struct buffer out;

    buffer_init(&out, 1 << 20);
    assert_int_equal(export_to(kit, "app_user", EXPORT_JSON, false, &out), 0);
    assert_memory_equal(out.data, "[\n]\n", 4);
    insert(kit, "app_user", fields);
    assert_int_equal(export_to(kit, "app_user", EXPORT_JSON, false, &out), 1);
    assert_int_equal(buffer_append(&out, "", 1, &kit->problem), RESULT_OK);
    assert_string_equal((const char *)out.data,
                        "[\n{\"id\":1,\"login\":\"anna\",\"name\":\"Anna \\u0022Però\\u0022\\u000a"
                        "\",\"grade\":null,\"is_active\":1}\n]\n");
    buffer_done(&out);
}

/* Imports an export into another master and returns what that one exports. */
static void come_back(struct kit *kit, const char *table, const struct buffer *file,
                      struct buffer *out)
{
    struct bytes heading[ROW_COLUMNS_MAX];
    struct import_generic generic = {.table = table, .system = "export", .heading = heading};
    const struct import_profile *profile = NULL;
    struct kit_memory memory = {.text = buffer_bytes(file)};
    const struct csv_source source = {kit_read_memory, &memory};
    const struct csv_format format = {.dialect = CSV_QUOTED};
    struct csv_reader *reader = NULL;
    struct csv_record record = {0};

    kit_ok(kit, csv_create(&format, &source, &reader, &kit->problem));
    kit_ok(kit, csv_next(reader, &record, &kit->problem));
    for (size_t i = 0; i < record.field_count; i++)
        kit_ok(kit, arena_copy(&kit->arena, record.fields[i].text, &heading[i], &kit->problem));
    generic.heading_count = record.field_count;
    csv_destroy(reader);
    kit_ok(kit,
           import_generic_profile(&kit->catalog, &generic, &kit->arena, &profile, &kit->problem));
    memory.at = 0;
    kit_begin(kit, profile);
    kit_ok(kit, import_read(kit->import, profile->files, "table.csv", &source, &kit->problem));
    kit->report = *import_report(kit->import);
    import_destroy(kit->import);
    kit->import = NULL;
    (void)export_to(kit, table, EXPORT_CSV, false, out);
}

/* Without the id column, which is another master's business. */
static size_t skip_id(const struct buffer *file, size_t at)
{
    while (at < file->size && file->data[at] != ',' && file->data[at] != '\r')
        at++;
    return at;
}

static void assert_same_but_ids(const struct buffer *a, const struct buffer *b)
{
    bool is_quoted = false;
    size_t i = skip_id(a, 0);
    size_t j = skip_id(b, 0);

    while (i < a->size && j < b->size) {
        assert_int_equal(a->data[i], b->data[j]);
        if (a->data[i] == '"')
            is_quoted = !is_quoted;
        if (a->data[i] == '\n' && !is_quoted) {
            i = skip_id(a, i + 1);
            j = skip_id(b, j + 1);
        } else {
            i++;
            j++;
        }
    }
    assert_int_equal(i - a->size, j - b->size);
}

static void an_export_comes_back_with_every_value(void **state)
{
    struct kit *kit = *state;
    void *other_state = NULL;
    struct buffer file;
    struct buffer again;
    struct kit *other;

    buffer_init(&file, 1 << 20);
    buffer_init(&again, 1 << 20);
    insert_parties(kit);
    assert_int_equal(export_to(kit, "party", EXPORT_CSV, false, &file), 6);
    assert_int_equal(kit_open(&other_state), 0);
    other = other_state;
    come_back(other, "party", &file, &again);
    assert_int_equal(other->report.inserted, 6);
    assert_int_equal(kit_number(other, "SELECT count(*) FROM party WHERE name = ' x '"), 1);
    assert_int_equal(kit_number(other, "SELECT count(*) FROM party WHERE name = '1E217'"), 1);
    assert_int_equal(kit_number(other, "SELECT count(*) FROM party WHERE name = 'due\nrighe'"), 1);
    assert_int_equal(kit_number(other, "SELECT count(*) FROM party WHERE street = ''"), 1);
    assert_int_equal(kit_number(other, "SELECT count(*) FROM party WHERE street IS NULL"), 5);
    assert_int_equal(kit_number(other, "SELECT max(withholding_bp) FROM party"), 10000);
    assert_same_but_ids(&file, &again);
    come_back(other, "party", &file, &again);
    assert_int_equal(other->report.unchanged, 6);
    assert_int_equal(kit_close(&other_state), 0);
    buffer_done(&file);
    buffer_done(&again);
}

static void more_rows_than_a_page_all_come_out(void **state)
{
    struct kit *kit = *state;
    struct import_pair pairs[2] = {{bytes_of_text("n"), bytes_of_text("name")},
                                   {bytes_of_text("k"), bytes_of_text("kind")}};
    const struct import_generic generic = {
        .table = "party", .system = "erp", .pair_count = 2, .pairs = pairs, .decimal_mark = '.'};
    const struct import_profile *profile = NULL;
    char *text = arena_alloc(&kit->arena, 64 * 1024);
    struct kit_memory memory = {0};
    const struct csv_source source = {kit_read_memory, &memory};
    size_t size = (size_t)snprintf(text, 16, "n,k\n");
    struct buffer out;

    for (int i = 0; i < 1500; i++)
        size += (size_t)snprintf(text + size, 32, "name %d,customer\n", i);
    memory.text = bytes_of(text, size);
    kit_ok(kit,
           import_generic_profile(&kit->catalog, &generic, &kit->arena, &profile, &kit->problem));
    kit_begin(kit, profile);
    kit_ok(kit, import_read(kit->import, profile->files, "p.csv", &source, &kit->problem));
    buffer_init(&out, 1 << 20);
    assert_int_equal(export_to(kit, "party", EXPORT_CSV, false, &out), 1500);
    buffer_done(&out);
}

static void a_reader_that_goes_away_ends_the_export(void **state)
{
    struct kit *kit = *state;
    struct export_options options = {
        .store = kit->store, .table = "party", .form = EXPORT_CSV, .write = refuse};
    int64_t count = 0;

    assert_int_equal(export_table(&options, &count, &kit->problem), RESULT_REFUSED);
    assert_non_null(strstr(kit->problem.text, "the reader went away"));
    options.table = "parti";
    assert_int_equal(export_table(&options, &count, &kit->problem), RESULT_REFUSED);
    assert_non_null(strstr(kit->problem.text, "there is no table parti"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_open, kit_close)
        TEST(a_table_becomes_csv_with_a_heading),      TEST(a_table_becomes_json_objects),
        TEST(an_export_comes_back_with_every_value),   TEST(more_rows_than_a_page_all_come_out),
        TEST(a_reader_that_goes_away_ends_the_export),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
