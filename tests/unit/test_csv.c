/* Rows of csv: what is written by the rules comes back, what breaks them is a problem, and the
 * two ways to find the end of a row agree on every text. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/csv.h"

/* A second opinion, a character at a time, of the first row alone: where it ends (0: it has no
 * newline), and whether it keeps the rules. */
static size_t first_row(const char *text, size_t size, bool *ret_valid)
{
    enum { BEGIN, BARE, QUOTED, CLOSED, ODD } state = BEGIN;

    *ret_valid = true;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool ends = c == ',' || c == '\n' || (c == '\r' && i + 1 < size && text[i + 1] == '\n');

        if (state == QUOTED) {
            if (c == '"')
                state = CLOSED;
            continue;
        }
        if (state == CLOSED && c == '"') {
            state = QUOTED;
            continue;
        }
        if (c == '\n')
            return i + 1;
        if (c == ',') {
            state = BEGIN;
        } else if (state == BEGIN && c == '"') {
            state = QUOTED;
        } else if (!ends) {
            if (state == CLOSED || c == '"' || c == '\r')
                *ret_valid = false;
            state = state == CLOSED ? ODD : state == BEGIN ? BARE : state;
        }
    }
    if (state == QUOTED)
        *ret_valid = false;
    return 0;
}

static void expect_text(struct csv_row *row, const char *text, size_t size)
{
    size_t at = 0, cut = csv_cut((struct mr_bytes){text, size}, ','), whole = 0;

    while (at < size) {
        bool valid;
        size_t want = first_row(text + at, size - at, &valid);
        const char *next = csv_row_take(row, text + at, text + size, ',');

        if (want)
            whole = at + want;
        if ((size_t)(next - text) != (want ? at + want : size) || !row->problem != valid)
            fail_msg("row at %zu of '%.*s'", at, (int)size, text);
        assert_ptr_equal(row->text.ptr, text + at);
        if (row->problem)
            assert_true(row->place >= text + at && row->place < next);
        at = (size_t)(next - text);
    }
    if (cut != whole)
        fail_msg("cut at %zu, not %zu: '%.*s'", cut, whole, (int)size, text);
}

static void rows_of_every_short_text_end_where_the_rules_say(void **state)
{
    static const char letters[] = "a,\"\n\r";
    enum { LENGTH = 8 };
    struct csv_row row = {0};
    char text[LENGTH];

    (void)state;
    for (size_t n = 0; n <= LENGTH; n++) {
        size_t all = 1;

        for (size_t i = 0; i < n; i++)
            all *= 5;
        for (size_t number = 0; number < all; number++) {
            size_t rest = number;

            for (size_t i = 0; i < n; i++, rest /= 5)
                text[i] = letters[rest % 5];
            expect_text(&row, text, n);
        }
    }
    csv_row_done(&row);
}

struct made {
    char *bytes;
    size_t size, capacity;
};

static void add(struct made *text, const char *bytes, size_t size)
{
    memory_reserve(&text->bytes, &text->capacity, text->size + size + 1, 1);
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

static void add_quoted(struct made *text, const char *field, size_t size)
{
    add(text, "\"", 1);
    for (size_t i = 0; i < size; i++)
        add(text, field[i] == '"' ? "\"\"" : field + i, field[i] == '"' ? 2 : 1);
    add(text, "\"", 1);
}

enum { FIELDS_MAX = 12, FIELD_SIZE = 9 };

/* Writes random fields; rows of them must come back. */
static void rows_come_back_as_they_were_written(void **state)
{
    static const char letters[] = "ab;,\"\n\r\0x";
    struct rng rng = {31};
    struct csv_row row = {0};

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char fields[FIELDS_MAX][FIELD_SIZE];
        size_t sizes[FIELDS_MAX], n = 1 + rng_below(&rng, FIELDS_MAX);
        char separator = rng_below(&rng, 2) ? ';' : ',';
        struct made text = {0};
        const char *next;

        for (size_t i = 0; i < n; i++) {
            bool quote = rng_below(&rng, 2);

            sizes[i] = rng_below(&rng, FIELD_SIZE);
            for (size_t k = 0; k < sizes[i]; k++) {
                fields[i][k] = letters[rng_below(&rng, sizeof letters - 1)];
                quote = quote || fields[i][k] == separator || strchr("\"\n\r", fields[i][k]);
            }
            if (i)
                add(&text, &separator, 1);
            if (quote)
                add_quoted(&text, fields[i], sizes[i]);
            else
                add(&text, fields[i], sizes[i]);
        }
        add(&text, "\r\n" + rng_below(&rng, 2), 1);
        if (text.bytes[text.size - 1] == '\r')
            add(&text, "\n", 1);
        next = csv_row_take(&row, text.bytes, text.bytes + text.size, separator);
        assert_ptr_equal(next, text.bytes + text.size);
        assert_null(row.problem);
        assert_int_equal(row.count, n);
        assert_int_equal(csv_cut((struct mr_bytes){text.bytes, text.size}, separator),
                         text.size);
        for (size_t i = 0; i < n; i++) {
            char plain[4 * FIELD_SIZE];
            struct mr_bytes found = row.fields[i].text;

            if (row.fields[i].doubled)
                found = (struct mr_bytes){plain, csv_undouble(plain, found)};
            assert_int_equal(found.len, sizes[i]);
            assert_true(!sizes[i] || !memcmp(found.ptr, fields[i], sizes[i]));
        }
        free(text.bytes);
    }
    csv_row_done(&row);
}

static void what_breaks_the_rules_is_told_with_its_place(void **state)
{
    static const struct {
        const char *text, *problem;
        size_t place;
    } rows[] = {
        {"a,b\"c,d\n", "a quote within a field that does not begin with one", 3},
        {"a,\"b\"c,d\n", "text behind a closing quote", 5},
        {"a,\"b,c\nd\n", "a quote that is not closed", 2},
        {"a\rb\n", "a carriage return outside of quotes", 1},
        {"a\r", "a carriage return outside of quotes", 1},
        {"\"a\"\r", "text behind a closing quote", 3},
        {"a, \"b\"\n", "a quote within a field that does not begin with one", 3},
    };
    struct csv_row row = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rows[i].text;

        csv_row_take(&row, text, text + strlen(text), ',');
        assert_non_null(row.problem);
        assert_string_equal(row.problem, rows[i].problem);
        assert_int_equal(row.place - text, rows[i].place);
    }
    csv_row_done(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_every_short_text_end_where_the_rules_say),
        cmocka_unit_test(rows_come_back_as_they_were_written),
        cmocka_unit_test(what_breaks_the_rules_is_told_with_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
