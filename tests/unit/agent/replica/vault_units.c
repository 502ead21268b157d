/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/replica/vault_units.h"

#include "base/prng.h"

/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static const enum vault_kind KINDS[] = {VAULT_DATABASE, VAULT_LOG, VAULT_JOURNAL, VAULT_TEMPORARY};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0] };

static void units_follow_each_other_without_gaps(void **state)
{
    (void)state;
    for (size_t k = 0; k < KIND_COUNT; k++) {
        int64_t offset = 0;
        int64_t place = vault_unit_at(KINDS[k], 0).place;

        for (uint64_t number = 0; number < 50; number++) {
            struct vault_unit unit = vault_unit_at(KINDS[k], offset);
            struct vault_unit same = vault_unit_at(KINDS[k], offset + (int64_t)unit.size - 1);

            assert_int_equal(unit.number, number);
            assert_int_equal(unit.offset, offset);
            assert_int_equal(unit.place, place);
            assert_memory_equal(&same, &unit, sizeof unit);
            offset += (int64_t)unit.size;
            place += (int64_t)unit.size + VAULT_UNIT_EXTRA_SIZE;
        }
    }
}

static void units_are_what_sqlite_writes_at_once(void **state)
{
    (void)state;
    assert_int_equal(vault_unit_at(VAULT_DATABASE, 3 * 4096).size, 4096);
    assert_int_equal(vault_unit_at(VAULT_LOG, 0).size, 32);
    for (int frame = 0; frame < 5; frame++) {
        assert_int_equal(vault_unit_at(VAULT_LOG, 32 + frame * 4120).size, 24);
        assert_int_equal(vault_unit_at(VAULT_LOG, 32 + frame * 4120 + 24).size, 4096);
    }
}

/* A unit that isn't whole isn't there, and each whole one is. */
static void sizes_go_there_and_back(void **state)
{
    (void)state;
    for (size_t k = 0; k < KIND_COUNT; k++) {
        int64_t seen_before = 0;

        for (int64_t stored = 0; stored < 40000; stored++) {
            int64_t seen = vault_size_seen(KINDS[k], stored);

            assert_true(seen >= seen_before && seen <= stored);
            assert_true(vault_size_stored(KINDS[k], seen) <= stored || seen == 0);
            if (seen != seen_before)
                assert_int_equal(vault_size_stored(KINDS[k], seen), stored);
            seen_before = seen;
        }
    }
}

static void a_unit_opens_only_as_what_it_is(void **state)
{
    uint8_t key[VAULT_KEY_SIZE] = {1};
    uint8_t identity[VAULT_IDENTITY_SIZE] = {2};
    const struct vault_lock lock = {key, identity, VAULT_DATABASE};
    const struct vault_unit unit = vault_unit_at(VAULT_DATABASE, 4096);
    const struct vault_unit other = vault_unit_at(VAULT_DATABASE, 8192);
    struct vault_lock wrong = lock;
    uint8_t wrong_key[VAULT_KEY_SIZE] = {3};
    uint8_t text[4096];
    uint8_t sealed[VAULT_SEALED_SIZE_MAX] = {4, 5, 6};
    uint8_t back[4096];
    struct prng prng;

    (void)state;
    prng_init(&prng, 1);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)prng_next(&prng);
    vault_unit_seal(&lock, &unit, text, sealed);
    assert_true(vault_unit_open(&lock, &unit, sealed, back));
    assert_memory_equal(back, text, sizeof text);
    assert_false(vault_unit_open(&lock, &other, sealed, back)); /* another place */
    for (size_t i = 0; i < sizeof back; i++)
        assert_int_equal(back[i], 0);
    wrong.kind = VAULT_TEMPORARY; /* another kind, of the same shape */
    assert_false(vault_unit_open(&wrong, &unit, sealed, back));
    wrong = lock;
    wrong.key = wrong_key;
    assert_false(vault_unit_open(&wrong, &unit, sealed, back));
    wrong = lock;
    wrong.identity = wrong_key; /* another file */
    assert_false(vault_unit_open(&wrong, &unit, sealed, back));
    for (size_t bit = 0; bit < sizeof sealed * 8; bit += 1 + prng_below(&prng, 30)) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(vault_unit_open(&lock, &unit, sealed, back));
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(vault_unit_open(&lock, &unit, sealed, back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_follow_each_other_without_gaps),
        cmocka_unit_test(units_are_what_sqlite_writes_at_once),
        cmocka_unit_test(sizes_go_there_and_back),
        cmocka_unit_test(a_unit_opens_only_as_what_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
