/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/row.h"

#include "base/invariant.h"

struct value value_null(void)
{
    return (struct value){.type = VALUE_NULL};
}

struct value value_integer(int64_t integer)
{
    return (struct value){.type = VALUE_INTEGER, .integer = integer};
}

struct value value_real(double real)
{
    return (struct value){.type = VALUE_REAL, .real = real};
}

struct value value_text(struct bytes text)
{
    return (struct value){.type = VALUE_TEXT, .bytes = text};
}

struct value value_text_of(const char *text)
{
    return text == NULL ? value_null() : value_text(bytes_of_text(text));
}

struct value value_blob(struct bytes blob)
{
    return (struct value){.type = VALUE_BLOB, .bytes = blob};
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_NULL:
        return true;
    case VALUE_INTEGER:
        return a->integer == b->integer;
    case VALUE_REAL:
        return !(a->real < b->real) && !(a->real > b->real);
    case VALUE_TEXT:
    case VALUE_BLOB:
        return bytes_equal(a->bytes, b->bytes);
    }
    return false;
}

enum result value_copy(struct arena *arena, const struct value *value, struct value *ret_copy,
                       struct problem *problem)
{
    struct value copy = *value;

    if (value->type == VALUE_TEXT || value->type == VALUE_BLOB) {
        enum result result = arena_copy(arena, value->bytes, &copy.bytes, problem);

        if (result != RESULT_OK)
            return result;
    }
    *ret_copy = copy;
    return RESULT_OK;
}

int64_t id_of(int64_t replica_no, int64_t counter)
{
    invariant(replica_no >= 0 && replica_no <= ID_REPLICA_MAX);
    invariant(counter >= 0 && counter <= ID_COUNTER_MAX);
    return (int64_t)((uint64_t)replica_no << ID_COUNTER_BITS | (uint64_t)counter);
}

int64_t id_replica_no(int64_t id)
{
    invariant(id >= 0 && id <= ID_MAX);
    return id >> ID_COUNTER_BITS;
}

int64_t id_counter(int64_t id)
{
    invariant(id >= 0 && id <= ID_MAX);
    return id & ID_COUNTER_MAX;
}

const char *verdict_name(enum verdict_kind kind)
{
    static const char *const NAMES[] = {
        [VERDICT_APPLIED] = "applied",     [VERDICT_MERGED] = "merged",
        [VERDICT_OVERRULED] = "overruled", [VERDICT_PARKED] = "parked",
        [VERDICT_REFUSED] = "refused",     [VERDICT_GONE] = "gone",
    };

    invariant((size_t)kind < sizeof NAMES / sizeof NAMES[0]);
    return NAMES[kind];
}
