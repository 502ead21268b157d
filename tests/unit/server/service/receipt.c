/* SPDX-License-Identifier: Apache-2.0 */
/* A sealed report reaches the server: what the receipt says, and what is found out later (I13). */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/receipt.h"
#include "server/service/closing.h"
#include "server/service/report_check.h"
#include "tests/unit/server/service/bench.h"

#include <sodium.h>

static const uint8_t SALT[REPORT_SALT_SIZE] = {9, 8, 7};
static const uint8_t DEVICE_SEED[32] = {1};
static const uint8_t OTHER_SEED[32] = {2};
static const uint8_t SERVER_SEED[32] = {3};

/* What a device would do: seals the report of a visit of Mario's and writes both rows. */
struct pen {
    struct bench *bench;
    int64_t activity_id;
    int64_t device_id;
    int64_t chain_n;
    char previous[EVIDENCE_HEX_SIZE];
    const uint8_t *seed;
};

static struct pen pen_take(struct bench *bench)
{
    struct pen pen = {.bench = bench, .seed = DEVICE_SEED};
    uint8_t public_key[32];
    uint8_t secret_key[64];

    crypto_sign_seed_keypair(public_key, secret_key, DEVICE_SEED);
    pen.activity_id = visit_for(bench, call_new(bench, "No hot water"), bench->mario);
    (void)session(bench, pen.activity_id, bench->mario, AT(800), AT(900));
    begin(bench);
    pen.device_id = insert_in(bench, "device", 0,
                              FIELDS({"user_id", N(bench->mario)}, {"series", T("T07")},
                                     {"key_fingerprint", T("00")}, {"enrolled_at", N(1)}));
    const struct value replica[] = {value_integer(pen.device_id), value_integer(bench->mario),
                                    value_blob(bytes_of(public_key, sizeof public_key))};
    assert_ok(bench, work_execute(bench->work,
                                  "INSERT INTO fs_replica(replica_no, device_id, user_id,"
                                  " static_public_key, sign_public_key, psk, enrolled_at)"
                                  " VALUES(7, ?1, ?2, zeroblob(32), ?3, zeroblob(32), 1)",
                                  replica, 3, &bench->problem));
    commit(bench);
    return pen;
}

static void report_of(struct pen *pen, struct buffer *report)
{
    struct bench *bench = pen->bench;
    const struct value activity = value_integer(pen->activity_id);

    assert_ok(bench, report_append_header(report, bytes_of_text("it"), bytes_of(SALT, sizeof SALT),
                                          &bench->problem));
    for (size_t i = 0; i < report_section_count(); i++) {
        struct store_result rows = {0};

        assert_ok(bench, work_query(bench->work, report_section_at(i)->sql, &activity, 1, &rows,
                                    &bench->problem));
        assert_ok(bench, report_append_rows(report, report_section_at(i), rows.values,
                                            rows.row_count, rows.column_count, &bench->problem));
    }
}

/* Runs what ends each group, with the server's key. */
static void close_group(struct bench *bench)
{
    static struct report_key key;
    const struct closing closing = {.key = &key};

    crypto_sign_seed_keypair(key.public_key, key.secret_key, SERVER_SEED);
    assert_ok(bench, work_settle(bench->work, &bench->problem));
    assert_ok(bench, closing_run(bench->work, &closing, &bench->problem));
}

/* The signer's name as the row has it may be another than the one that is sealed. */
static int64_t sign_as(struct pen *pen, const char *sealed_name, const char *name, bool has_key)
{
    struct bench *bench = pen->bench;
    uint8_t public_key[32];
    uint8_t secret_key[64];
    uint8_t signature[64];
    char document_hash[EVIDENCE_HEX_SIZE];
    struct buffer report;
    struct buffer sealed;
    struct evidence_claim claim = {.activity_id = pen->activity_id,
                                   .version_n = 1,
                                   .chain_n = pen->chain_n + 1,
                                   .previous_hash = bytes_of_text(pen->previous),
                                   .customer_id = bench->party,
                                   .site_id = bench->site,
                                   .user_id = bench->mario,
                                   .device_id = pen->device_id,
                                   .signed_at = bench->now.us,
                                   .document_kind = bytes_of_text("report"),
                                   .language = bytes_of_text("it"),
                                   .signer_name = bytes_of_text(sealed_name),
                                   .salt = bytes_of(SALT, sizeof SALT)};

    begin(bench);
    buffer_init(&report, REPORT_SIZE_MAX);
    buffer_init(&sealed, 2 * EVIDENCE_SEAL_SIZE_MAX);
    report_of(pen, &report);
    evidence_hash(buffer_bytes(&report), document_hash);
    claim.document_hash = bytes_of_text(document_hash);
    claim.signature_id = id_of(7, 100 + claim.chain_n);
    {
        const struct value activity = value_integer(pen->activity_id);
        struct store_result found = {0};

        assert_ok(bench, work_query(bench->work, "SELECT call_id FROM activity WHERE id = ?1",
                                    &activity, 1, &found, &bench->problem));
        claim.call_id = store_integer_at(&found, 0, 0, 0);
    }
    assert_ok(bench, evidence_append_seal(&claim, buffer_bytes(&report), &sealed, &bench->problem));
    crypto_sign_seed_keypair(public_key, secret_key, pen->seed);
    evidence_sign(buffer_bytes(&sealed), secret_key, signature);
    (void)insert_in(
        bench, "signature", bench->mario,
        FIELDS({"id", N(claim.signature_id)}, {"activity_id", N(pen->activity_id)},
               {"document_kind", T("report")}, {"version_n", N(1)},
               {"document_hash", T(document_hash)}, {"signer_name", T(name)},
               {"signed_at", N(claim.signed_at)}, {"by_id", N(bench->mario)},
               {"device_id", N(pen->device_id)},
               {"key_signature", value_blob(bytes_of(signature, sizeof signature))},
               {"previous_hash", pen->previous[0] == '\0' ? value_null() : T(pen->previous)}));
    (void)insert_in(bench, "report_seal", bench->mario,
                    FIELDS({"signature_id", N(claim.signature_id)},
                           {"device_id", N(pen->device_id)}, {"chain_n", N(claim.chain_n)},
                           {"sealed", value_text(buffer_bytes(&sealed))},
                           {"salt", value_blob(bytes_of(SALT, sizeof SALT))}));
    if (has_key)
        close_group(bench);
    commit(bench);
    pen->chain_n++;
    evidence_hash(buffer_bytes(&sealed), pen->previous);
    buffer_done(&report);
    buffer_done(&sealed);
    return claim.signature_id;
}

static int64_t sign(struct pen *pen)
{
    return sign_as(pen, "Maria Rossi", "Maria Rossi", true);
}

static const char *finding(struct bench *bench, int64_t signature_id)
{
    return text(bench, "SELECT finding FROM report_receipt WHERE signature_id = ?1", signature_id,
                0);
}

static struct report_check check_of(struct bench *bench, int64_t signature_id)
{
    struct report_check *checks = NULL;
    size_t count = 0;

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, report_check(bench->store, NULL, signature_id, 0, &bench->arena, &checks,
                                  &count, &bench->problem));
    store_rollback(bench->store);
    assert_int_equal(count, 1);
    return checks[0];
}

static const char *difference_of(struct bench *bench, int64_t signature_id)
{
    return (const char *)check_of(bench, signature_id).difference.data;
}

static void execute(struct bench *bench, const char *sql, int64_t id)
{
    const struct value parameter = value_integer(id);

    assert_ok(bench, store_begin(bench->store, STORE_WRITE, &bench->problem));
    assert_ok(bench, store_execute(bench->store, sql, &parameter, 1, 1, NULL, &bench->problem));
    assert_ok(bench, store_commit(bench->store, &bench->problem));
}

/* ---- stories ---- */

static void a_sealed_report_gets_a_receipt_that_the_servers_key_signed(void **state)
{
    struct bench *bench = *state;
    struct pen pen = pen_take(bench);
    int64_t first = sign(&pen);
    int64_t second = sign(&pen);
    struct report_check check = check_of(bench, second);

    assert_string_equal(finding(bench, first), "good");
    assert_string_equal(finding(bench, second), "good");
    assert_true(report_check_is_good(&check) && check.is_receipt_good);
    assert_int_equal(check.evidence.receipt.seq_n,
                     number(bench, "SELECT _fs_seq FROM signature WHERE id = ?1", second, 0));
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_receipt_wanted", 0, 0), 0);
    assert_int_equal(number(bench, "SELECT count(*) FROM review_item", 0, 0), 0);
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM report_receipt r JOIN signature s"
                            " ON s.id = r.signature_id AND s.home = r.home",
                            0, 0),
                     2);
}

static void without_the_key_the_receipt_waits_for_a_group_that_has_it(void **state)
{
    struct bench *bench = *state;
    struct pen pen = pen_take(bench);
    int64_t id = sign_as(&pen, "Maria Rossi", "Maria Rossi", false);

    assert_int_equal(number(bench, "SELECT count(*) FROM report_receipt", 0, 0), 0);
    begin(bench);
    close_group(bench);
    commit(bench);
    assert_string_equal(finding(bench, id), "good");
    begin(bench);
    close_group(bench);
    commit(bench);
    assert_int_equal(number(bench, "SELECT count(*) FROM report_receipt", 0, 0), 1);
}

/* Facts are never refused: what is wrong with them is said and asked about. */
static void a_foreign_key_and_other_rows_are_stored_and_asked_about(void **state)
{
    struct bench *bench = *state;
    struct pen pen = pen_take(bench);
    int64_t other = sign_as(&pen, "Maria Rossi", "Mario Rossi", true);
    int64_t forged;

    assert_string_equal(finding(bench, other), "not_these_rows");
    assert_int_equal(reviews(bench, "seal_not_these_rows", "manager"), 1);
    pen.seed = OTHER_SEED;
    forged = sign(&pen);
    assert_string_equal(finding(bench, forged), "wrong_key");
    assert_int_equal(reviews(bench, "seal_wrong_key", "manager"), 1);
    assert_false(check_of(bench, forged).is_key_good);
    assert_string_equal(difference_of(bench, other),
                        "! the signer's name is not what was signed\n");
}

static void a_gap_and_a_fork_of_a_devices_chain_are_seen(void **state)
{
    struct bench *bench = *state;
    struct pen pen = pen_take(bench);
    struct pen copy;
    int64_t id;

    (void)sign(&pen);
    copy = pen; /* the disk is copied here */
    (void)sign(&pen);
    pen.chain_n++; /* one never arrives */
    id = sign(&pen);
    assert_string_equal(finding(bench, id), "gap");
    assert_int_equal(reviews(bench, "seal_gap", "manager"), 1);
    assert_false(check_of(bench, id).is_chain_good);

    copy.chain_n += 4; /* the copy goes on from another past */
    id = sign(&copy);
    assert_string_equal(finding(bench, id), "gap");
    copy = pen;
    memset(copy.previous, 'a', EVIDENCE_HEX_SIZE - 1);
    id = sign(&copy);
    assert_string_equal(finding(bench, id), "fork");
    assert_int_equal(reviews(bench, "seal_fork", "manager"), 1);
}

/* I13, G11: whoever changes a row of the master with SQL is contradicted by what was signed. */
static void tampering_with_any_row_names_the_item(void **state)
{
    static const struct {
        const char *sql;
        const char *says;
    } TAMPERINGS[] = {
        {"UPDATE signature SET signer_name = 'X' WHERE id = ?1", "! the signer's name is not"},
        {"UPDATE signature SET amount_cents = 5 WHERE id = ?1", "! the amount is not what was"},
        {"UPDATE signature SET signed_at = signed_at - 1 WHERE id = ?1", "! the time of signing"},
        {"UPDATE signature SET document_hash = 'ab' WHERE id = ?1", "! the text that was shown"},
        {"UPDATE work_session SET break_min = 30 WHERE ?1 > 0", "+ work "},
        {"DELETE FROM work_session WHERE ?1 > 0", "- work "},
        {"UPDATE party SET name = 'Bianchi' WHERE ?1 > 0", "+ customer Bianchi\n"},
        {"UPDATE call SET subject = 'Leak' WHERE ?1 > 0", "+ call "},
    };
    struct bench *bench = *state;
    struct pen pen = pen_take(bench);
    int64_t id = sign(&pen);

    for (size_t i = 0; i < sizeof TAMPERINGS / sizeof *TAMPERINGS; i++) {
        struct report_check check;

        execute(bench, TAMPERINGS[i].sql, id);
        check = check_of(bench, id);
        assert_true(check.is_key_good && check.is_receipt_good);
        assert_false(report_check_is_good(&check));
        if (strstr((const char *)check.difference.data, TAMPERINGS[i].says) == NULL)
            fail_msg("%s: %s", TAMPERINGS[i].sql, (const char *)check.difference.data);
    }
    execute(bench,
            "UPDATE report_seal SET sealed = replace(sealed, 'version 1', 'version 2')"
            " WHERE signature_id = ?1",
            id);
    assert_false(check_of(bench, id).is_key_good);
    assert_false(check_of(bench, id).is_receipt_good);
}

static void a_receipt_that_was_altered_is_seen(void **state)
{
    struct bench *bench = *state;
    struct pen pen = pen_take(bench);
    int64_t id = sign(&pen);

    execute(bench,
            "UPDATE report_receipt SET received_at = received_at - 1 WHERE signature_id = ?1", id);
    assert_false(check_of(bench, id).is_receipt_good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_sealed_report_gets_a_receipt_that_the_servers_key_signed),
        STORY(without_the_key_the_receipt_waits_for_a_group_that_has_it),
        STORY(a_foreign_key_and_other_rows_are_stored_and_asked_about),
        STORY(a_gap_and_a_fork_of_a_devices_chain_are_seen),
        STORY(tampering_with_any_row_names_the_item),
        STORY(a_receipt_that_was_altered_is_seen),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
