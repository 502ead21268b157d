/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the examples of docs/PROTOCOL.md and checks them against the code, both ways: the bytes
 * decode to the words beside them, and what was decoded encodes to the bytes.
 *
 *     ```fieldsync
 *     PUBLISH
 *     head: 820
 *     = 91 cd 03 34
 *     ``` */
#include "protocol/messages.h"
#include "schema/canonical.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/protocol/example_catalog.h"
#include "tests/unit/protocol/message_kit.h"

enum { DOC_SIZE_MAX = 1 << 20, EXAMPLES_MAX = 64 };

static const struct catalog CATALOG = {
    .schema_version = 3, .table_count = 3, .tables = EXAMPLE_TABLES};

static const struct {
    const char *name;
    enum message_kind kind;
} MESSAGES[] = {
    {"RESUME", KIND_RESUME},
    {"ENROL", KIND_ENROL},
    {"WELCOME", KIND_WELCOME},
    {"ENROLLED", KIND_ENROLLED},
    {"ROWS", KIND_ROWS},
    {"SUBSCRIBED", KIND_SUBSCRIBED},
    {"GONE", KIND_GONE},
    {"PUBLISH", KIND_PUBLISH},
    {"VERDICT", KIND_VERDICT},
    {"DIGEST_DIFFERS", KIND_DIFFERS},
    {"NOTICE", KIND_TEXT},
    {"REVOKED", KIND_TEXT},
    {"PUSH", KIND_PUSH},
    {"PUBLISHED", KIND_PUBLISHED},
    {"DIGEST", KIND_DIGEST},
    {"REPAIR", KIND_REPAIR},
    {"PING", KIND_PING},
    {"PONG", KIND_PING},
    {"BLOB_HAVE", KIND_BLOB},
    {"BLOB_WANT", KIND_BLOB},
    {"BLOB_PART", KIND_BLOB},
    {"ERROR", KIND_TEXT},
    {"BYE", KIND_TEXT},
    {"POLICY", KIND_POLICY},
    {"NEW_KEY", KIND_NEW_KEY},
    {"NEW_PSK", KIND_NEW_PSK},
    {"DEPOSITED", KIND_DEPOSITED},
    {"IDS", KIND_IDS},
    {"RENEW", KIND_RENEW},
    {"SCHEMA", KIND_SCHEMA},
    {"SNAPSHOT", KIND_SNAPSHOT},
};
enum { MESSAGE_COUNT = sizeof MESSAGES / sizeof MESSAGES[0] };

struct example {
    char name[32];
    struct buffer words;
    struct buffer bytes;
};

struct doc {
    struct buffer text;
    size_t example_count;
    struct example examples[EXAMPLES_MAX];
};

static FILE *doc_open(void)
{
#ifdef PROTOCOL_DOC
    return fopen(PROTOCOL_DOC, "rb");
#elif defined SOURCE_DIR
    return fopen(SOURCE_DIR "/docs/PROTOCOL.md", "rb");
#else
    static const char HERE[] = "tests/unit/protocol/protocol_doc.c";
    char path[4096];
    size_t root_size = strlen(__FILE__) - (sizeof HERE - 1);

    (void)snprintf(path, sizeof path, "%.*sdocs/PROTOCOL.md", (int)root_size, __FILE__);
    return fopen(path, "rb");
#endif
}

static void append(struct buffer *buffer, const void *data, size_t size)
{
    struct problem problem = {0};

    assert_int_equal(buffer_append(buffer, data, size, &problem), RESULT_OK);
}

static void add_hex(struct buffer *bytes, const char *line, size_t size)
{
    for (size_t i = 1; i + 2 < size + 1; i += 3) {
        char digits[3] = {0};
        uint8_t byte = 0;

        assert_int_equal(line[i], ' ');
        memcpy(digits, line + i + 1, 2);
        assert_true(bytes_from_hex(digits, &byte, 1));
        append(bytes, &byte, 1);
    }
}

static void add_line(struct example *example, const char *line, size_t size)
{
    if (example->name[0] == 0) {
        assert_true(size > 0 && size < sizeof example->name);
        memcpy(example->name, line, size);
    } else if (line[0] == '=') {
        add_hex(&example->bytes, line, size);
    } else {
        append(&example->words, line, size);
        append(&example->words, "\n", 1);
    }
}

static int doc_read(void **state)
{
    struct doc *doc = calloc(1, sizeof *doc);
    FILE *file = doc_open();
    char chunk[4096];
    size_t size = 0;
    struct example *open = NULL;

    assert_non_null(doc);
    assert_non_null(file);
    buffer_init(&doc->text, DOC_SIZE_MAX);
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        append(&doc->text, chunk, size);
    (void)fclose(file);
    append(&doc->text, "", 1);
    for (const char *line = (const char *)doc->text.data; *line != 0;) {
        size_t length = strcspn(line, "\n");

        if (open == NULL && length == 12 && strncmp(line, "```fieldsync", 12) == 0) {
            assert_true(doc->example_count < EXAMPLES_MAX);
            open = &doc->examples[doc->example_count++];
            buffer_init(&open->words, DOC_SIZE_MAX);
            buffer_init(&open->bytes, DOC_SIZE_MAX);
        } else if (open != NULL && length == 3 && strncmp(line, "```", 3) == 0) {
            open = NULL;
        } else if (open != NULL) {
            add_line(open, line, length);
        }
        line += length + (line[length] == '\n' ? 1 : 0);
    }
    assert_null(open);
    *state = doc;
    return 0;
}

static int doc_drop(void **state)
{
    struct doc *doc = *state;

    for (size_t i = 0; i < doc->example_count; i++) {
        buffer_done(&doc->examples[i].words);
        buffer_done(&doc->examples[i].bytes);
    }
    buffer_done(&doc->text);
    free(doc);
    return 0;
}

static const struct example *find(const struct doc *doc, const char *name)
{
    for (size_t i = 0; i < doc->example_count; i++)
        if (strcmp(doc->examples[i].name, name) == 0)
            return &doc->examples[i];
    fail_msg("no example of %s", name);
    return NULL;
}

static void decode(const struct example *example, enum message_kind kind, struct arena *arena,
                   union any_message *any)
{
    struct problem problem = {0};

    if (kit_decode(kind, &CATALOG, buffer_bytes(&example->bytes), arena, any, &problem) !=
        RESULT_OK)
        fail_msg("%s: %s", example->name, problem.text);
}

static void check(const struct example *example, enum message_kind kind)
{
    struct arena arena;
    struct buffer words;
    struct buffer bytes;
    union any_message any;
    struct problem problem = {0};

    arena_init(&arena, DOC_SIZE_MAX);
    buffer_init(&words, DOC_SIZE_MAX);
    buffer_init(&bytes, DOC_SIZE_MAX);
    decode(example, kind, &arena, &any);
    kit_say(kind, &CATALOG, &any, &words);
    if (!bytes_equal(buffer_bytes(&words), buffer_bytes(&example->words)))
        fail_msg("%s decodes to other words than beside it:\n%.*s", example->name, (int)words.size,
                 (const char *)words.data);
    assert_int_equal(kit_encode(kind, &CATALOG, &any, &bytes, &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&bytes), buffer_bytes(&example->bytes)));
    buffer_done(&words);
    buffer_done(&bytes);
    arena_done(&arena);
}

static void every_message_has_an_example_that_holds_both_ways(void **state)
{
    const struct doc *doc = *state;

    for (size_t i = 0; i < MESSAGE_COUNT; i++)
        check(find(doc, MESSAGES[i].name), MESSAGES[i].kind);
}

static void every_type_and_its_number_are_in_the_document(void **state)
{
    const struct doc *doc = *state;
    char row[64];

    for (int type = 0; type < 256; type++) {
        if (strcmp(message_name(type), "?") == 0)
            continue;
        (void)snprintf(row, sizeof row, "| %d | %s |", type, message_name(type));
        if (strstr((const char *)doc->text.data, row) == NULL)
            fail_msg("no line \"%s\"", row);
    }
}

static void the_example_of_push_carries_its_own_digest(void **state)
{
    struct arena arena;
    union any_message any;
    struct seal_digest_state seal;
    struct problem problem = {0};
    uint8_t digest[SEAL_DIGEST_SIZE];

    arena_init(&arena, DOC_SIZE_MAX);
    decode(find(*state, "PUSH"), KIND_PUSH, &arena, &any);
    seal_digest_begin(&seal, &any.push);
    assert_int_equal(seal_digest_add(&seal, &CATALOG, &any.push, &problem), RESULT_OK);
    seal_digest_end(&seal, digest);
    assert_memory_equal(digest, any.push.digest.data, SEAL_DIGEST_SIZE);
    arena_done(&arena);
}

static void the_example_of_resume_carries_the_digest_of_the_subscribed_buckets(void **state)
{
    struct arena arena;
    union any_message resume;
    union any_message subscribed;
    uint8_t digest[8];

    arena_init(&arena, DOC_SIZE_MAX);
    decode(find(*state, "RESUME"), KIND_RESUME, &arena, &resume);
    decode(find(*state, "SUBSCRIBED"), KIND_SUBSCRIBED, &arena, &subscribed);
    subscribed_digest(subscribed.subscribed.added, subscribed.subscribed.added_count, digest);
    assert_memory_equal(digest, resume.resume.subscribed_digest, sizeof digest);
    arena_done(&arena);
}

/* The first row of the ROWS example, in the form that digests are made of. */
static void the_canonical_row_and_its_hash_are_those_of_the_code(void **state)
{
    const struct example *example = find(*state, "CANONICAL");
    struct arena arena;
    struct buffer bytes;
    struct buffer words;
    union any_message any;
    struct problem problem = {0};
    uint8_t key[DIGEST_KEY_SIZE];
    uint8_t hash[ROW_DIGEST_SIZE];

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    arena_init(&arena, DOC_SIZE_MAX);
    buffer_init(&bytes, DOC_SIZE_MAX);
    buffer_init(&words, DOC_SIZE_MAX);
    decode(find(*state, "ROWS"), KIND_ROWS, &arena, &any);
    assert_int_equal(canonical_append(&EXAMPLE_TABLES[1], any.rows.rows[0].row_id,
                                      any.rows.rows[0].values, &bytes, &problem),
                     RESULT_OK);
    assert_int_equal(crypto_shorthash_siphashx24(hash, bytes.data, bytes.size, key), 0);
    say_row(&words, &CATALOG, &any.rows.rows[0]);
    say_hex(&words, "digest_key", bytes_of(key, sizeof key));
    say_hex(&words, "hash", bytes_of(hash, sizeof hash));
    if (!bytes_equal(buffer_bytes(&words), buffer_bytes(&example->words)))
        fail_msg("CANONICAL is in words:\n%.*s", (int)words.size, (const char *)words.data);
    assert_true(bytes_equal(buffer_bytes(&bytes), buffer_bytes(&example->bytes)));
    buffer_done(&bytes);
    buffer_done(&words);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_has_an_example_that_holds_both_ways),
        cmocka_unit_test(every_type_and_its_number_are_in_the_document),
        cmocka_unit_test(the_example_of_push_carries_its_own_digest),
        cmocka_unit_test(the_example_of_resume_carries_the_digest_of_the_subscribed_buckets),
        cmocka_unit_test(the_canonical_row_and_its_hash_are_those_of_the_code),
    };

    return cmocka_run_group_tests(tests, doc_read, doc_drop);
}
