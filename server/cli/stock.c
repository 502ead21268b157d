/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/stock.h"
#include "server/cli/cli_commands.h"
#include "server/cli/office.h"

#include <inttypes.h>
#include <string.h>

enum { LINES_MAX = 1000 };

/* ---- load, move ---- */

struct moving {
    struct stock_order order;
    int64_t move_id;
};

static enum result load_in(struct work *work, void *context, struct problem *problem)
{
    struct moving *moving = context;

    return stock_load(work, &moving->order, &moving->move_id, problem);
}

static enum result move_in(struct work *work, void *context, struct problem *problem)
{
    struct moving *moving = context;

    return stock_transfer(work, &moving->order, &moving->move_id, problem);
}

static enum result read_order(struct cli *cli, struct stock_order *ret_order,
                              struct problem *problem)
{
    const char *from = options_value(cli->options, "from");
    const char *to = options_value(cli->options, "to");
    const char *at = options_value(cli->options, "at");
    struct stock_order order = {0};
    enum result result;

    if (to == NULL)
        return problem_set(problem, RESULT_REFUSED, "say where the goods go: --to PLACE");
    result = office_find_by(cli, stock_find_item, cli_argument(cli, 0), &order.item_id, problem);
    if (result == RESULT_OK)
        result = office_quantity(cli_argument(cli, 1), &order.quantity_m, problem);
    if (result == RESULT_OK)
        result = office_find_by(cli, stock_find_place, to, &order.to_id, problem);
    if (result == RESULT_OK && from != NULL)
        result = office_find_by(cli, stock_find_place, from, &order.from_id, problem);
    if (result == RESULT_OK && at != NULL)
        result = office_time(at, &order.occurred_at, problem);
    if (result == RESULT_OK)
        result = office_by(cli, &order.by_id, problem);
    if (result == RESULT_OK)
        *ret_order = order;
    return result;
}

static enum result say(struct cli *cli, const struct moving *moving, struct problem *problem)
{
    const char *quantity = office_quantity_text(cli, moving->order.quantity_m);
    const char *sentence = NULL;

    if (quantity != NULL)
        sentence = arena_format(&cli->arena, "%s of %s moved to %s", quantity, cli_argument(cli, 0),
                                options_value(cli->options, "to"));
    if (sentence == NULL)
        return arena_full(&cli->arena, problem);
    return office_done(cli, "move_id", moving->move_id, NULL, sentence, problem);
}

static enum result run_load(struct cli *cli, struct problem *problem)
{
    struct moving moving = {0};
    enum result result = read_order(cli, &moving.order, problem);

    if (result == RESULT_OK)
        result = cli_write(cli, load_in, &moving, problem);
    return result == RESULT_OK ? say(cli, &moving, problem) : result;
}

static enum result run_move(struct cli *cli, struct problem *problem)
{
    struct moving moving = {0};
    enum result result = read_order(cli, &moving.order, problem);

    if (result == RESULT_OK && moving.order.from_id == 0)
        return problem_set(problem, RESULT_REFUSED, "say where the goods are: --from PLACE");
    if (result == RESULT_OK)
        result = cli_write(cli, move_in, &moving, problem);
    return result == RESULT_OK ? say(cli, &moving, problem) : result;
}

/* ---- count ---- */

struct counting {
    int64_t place_id;
    int64_t occurred_at;
    int64_t by_id;
    struct stock_counted *lines;
    size_t line_count;
    int64_t count_id;
};

static enum result count_in(struct work *work, void *context, struct problem *problem)
{
    struct counting *counting = context;

    return stock_count_take(work, counting->place_id, counting->occurred_at, counting->lines,
                            counting->line_count, counting->by_id, &counting->count_id, problem);
}

/* "P=9" */
static enum result read_line(struct cli *cli, const char *text, struct stock_counted *ret_line,
                             struct problem *problem)
{
    const char *equals = strrchr(text, '=');
    const char *code = NULL;
    enum result result;

    if (equals == NULL || equals == text)
        return problem_set(problem, RESULT_REFUSED, "'%s': write ITEM=QUANTITY, like P=9", text);
    code = arena_format(&cli->arena, "%.*s", (int)(equals - text), text);
    if (code == NULL)
        return arena_full(&cli->arena, problem);
    result = office_find_by(cli, stock_find_item, code, &ret_line->item_id, problem);
    if (result == RESULT_OK)
        result = office_quantity(equals + 1, &ret_line->quantity_m, problem);
    return result;
}

static enum result print_count(struct cli *cli, const struct counting *counting,
                               struct problem *problem)
{
    const struct value id = value_integer(counting->count_id);
    struct store_result rows = {0};
    enum result result = cli_query(
        cli,
        "SELECT i.code, l.counted_m, l.known_m FROM count_line l JOIN item i ON i.id = l.item_id"
        " WHERE l.count_id = ?1 ORDER BY i.code",
        &id, 1, &rows, problem);

    if (result == RESULT_OK && cli->is_json)
        return office_done(cli, "count_id", counting->count_id, NULL, "", problem);
    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        struct bytes code = store_bytes_at(&rows, i, 0);
        const char *counted = office_quantity_text(cli, store_integer_at(&rows, i, 1, 0));
        const char *known = office_quantity_text(cli, store_integer_at(&rows, i, 2, 0));

        if (counted == NULL || known == NULL)
            return arena_full(&cli->arena, problem);
        result = cli_say(cli, problem, "%.*s: counted %s, the books said %s\n", (int)code.size,
                         (const char *)code.data, counted, known);
    }
    return result;
}

static enum result run_count(struct cli *cli, struct problem *problem)
{
    const char *at = options_value(cli->options, "at");
    struct counting counting = {0};
    enum result result =
        office_find_by(cli, stock_find_place, cli_argument(cli, 0), &counting.place_id, problem);

    if (options_value(cli->options, "by") == NULL)
        return problem_set(problem, RESULT_REFUSED, "say who has counted: --by LOGIN");
    if (result == RESULT_OK)
        result = office_by(cli, &counting.by_id, problem);
    if (result == RESULT_OK && at != NULL)
        result = office_time(at, &counting.occurred_at, problem);
    counting.lines = arena_array(&cli->arena, LINES_MAX, sizeof *counting.lines);
    if (counting.lines == NULL)
        return arena_full(&cli->arena, problem);
    for (int i = 1; cli_argument(cli, i) != NULL && result == RESULT_OK; i++) {
        result =
            read_line(cli, cli_argument(cli, i), &counting.lines[counting.line_count], problem);
        counting.line_count++;
    }
    if (result == RESULT_OK)
        result = cli_write(cli, count_in, &counting, problem);
    return result == RESULT_OK ? print_count(cli, &counting, problem) : result;
}

/* ---- show ---- */

/* People read pieces, programs thousandths. */
static enum result in_pieces(struct cli *cli, struct store_result *rows, struct problem *problem)
{
    for (size_t i = 0; i < rows->row_count; i++) {
        for (size_t column = 5; column < STOCK_SHOW_COLUMNS; column++) {
            struct value *value = &rows->values[i * rows->column_count + column];
            const char *text = NULL;

            if (value->type != VALUE_INTEGER)
                continue;
            text = office_quantity_text(cli, value->integer);
            if (text == NULL)
                return arena_full(&cli->arena, problem);
            *value = value_text_of(text);
        }
    }
    return RESULT_OK;
}

static enum result run_show(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[STOCK_SHOW_COLUMNS] = {
        {"PLACE", "place", CLI_TEXT},   {"ITEM", "item", CLI_TEXT},
        {"NAME", "name", CLI_TEXT},     {"UNIT", "unit", CLI_TEXT},
        {"SERIAL", "serial", CLI_TEXT}, {"QUANTITY", "quantity_m", CLI_NUMBER},
        {"FREE", "free_m", CLI_NUMBER},
    };
    const char *place = cli_argument(cli, 0);
    const char *item = options_value(cli->options, "item");
    struct store *store = master_store(cli->master);
    struct store_result rows = {0};
    int64_t place_id = 0;
    int64_t item_id = 0;
    enum result result = RESULT_OK;

    if (place != NULL)
        result = office_find_by(cli, stock_find_place, place, &place_id, problem);
    if (result == RESULT_OK && item != NULL)
        result = office_find_by(cli, stock_find_item, item, &item_id, problem);
    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = stock_show(store, place_id, item_id, &cli->arena, &rows, problem);
    store_rollback(store);
    if (result == RESULT_OK && !cli->is_json)
        result = in_pieces(cli, &rows, problem);
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static const struct option_spec SPECS[] = {
    {"from", 0, "PLACE", "load, move: where the goods are; a name, a driver's login or an id"},
    {"to", 0, "PLACE", "load, move: where they go"},
    {"item", 0, "ITEM", "show: only this item; its code or id"},
    {"at", 0, "TIME", "when it happened, in UTC: 2026-11-24T09:00Z; default: now"},
    {"by", 0, "LOGIN", "who did it"},
};

static const struct cli_action ACTIONS[] = {
    {"show", "[PLACE]", 0, 1, run_show},
    {"load", "ITEM QUANTITY --to PLACE", 2, 2, run_load},
    {"move", "ITEM QUANTITY --from PLACE --to PLACE", 2, 2, run_move},
    {"count", "PLACE ITEM=QUANTITY... --by LOGIN", 2, LINES_MAX, run_count},
};

const struct cli_family CLI_STOCK = {
    .command = {"stock",
                "what lies where; e.g. stock load P 12 --to mario;"
                " stock count mario P=9 --by walter",
                "show|load|move|count [PLACE|ITEM [QUANTITY...]]", 1, LINES_MAX + 1, SPECS,
                sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};
