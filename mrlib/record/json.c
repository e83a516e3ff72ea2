#include "record/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/memory.h"

/* A walk over the text; `at` stops at the first thing that is wrong. */
struct scan {
    struct json_object *object;
    const char *at, *end;
    uint32_t depth;
    uint64_t is_object[JSON_DEPTH / 64]; /* a bit for each level: else an array */
};

void json_object_done(struct json_object *object)
{
    free(object->members);
    *object = (struct json_object){0};
}

static bool wrong(struct scan *scan, const char *problem)
{
    scan->object->problem = problem;
    scan->object->place = scan->at;
    return false;
}

static inline void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- Strings
 * ------------------------------------------------------------------------------------- */

/* Behind bytes that stand for themselves: none of ", \, controls, or above 0x7f. */
static inline const char *skip_plain(const char *at, const char *end)
{
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* Signed: controls and what is above 0x7f are both below a blank. */
        __m128i bad = _mm_or_si128(_mm_cmplt_epi8(x, _mm_set1_epi8(' ')),
                                   _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                                _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'))));
        int mask = _mm_movemask_epi8(bad);

        if (mask)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && (signed char)*at >= ' ' && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Four hexadecimal digits; -1 if they are none. */
static int hex4(const char *at, const char *end)
{
    int value = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool is_high(int unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(int unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* At a backslash. */
static bool take_escape(struct scan *scan)
{
    const char *at = scan->at + 1;
    int unit;

    if (at == scan->end)
        return wrong(scan, "an escape that is cut off");
    if (*at != 'u') {
        if (!strchr("\"\\/bfnrt", *at) || !*at)
            return wrong(scan, "an unknown escape");
        scan->at = at + 1;
        return true;
    }
    unit = hex4(at + 1, scan->end);
    if (unit < 0)
        return wrong(scan, "\\u without four hexadecimal digits");
    if (is_low(unit))
        return wrong(scan, "a second surrogate without the first");
    at += 5;
    if (is_high(unit)) {
        if (scan->end - at < 2 || at[0] != '\\' || at[1] != 'u' ||
            !is_low(hex4(at + 2, scan->end)))
            return wrong(scan, "a first surrogate without the second");
        at += 6;
    }
    scan->at = at;
    return true;
}

/* Bytes of the UTF-8 sequence at `at`, whose first one is above 0x7f; 0: it is none. */
static int utf8_length(const char *at, const char *end)
{
    const unsigned char *c = (const unsigned char *)at;
    int n = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    unsigned least = c[0] == 0xe0 ? 0xa0 : c[0] == 0xf0 ? 0x90 : 0x80;
    unsigned most = c[0] == 0xed ? 0x9f : c[0] == 0xf4 ? 0x8f : 0xbf;

    if (c[0] < 0xc2 || c[0] > 0xf4 || end - at < n || c[1] < least || c[1] > most)
        return 0;
    for (int i = 2; i < n; i++)
        if (c[i] < 0x80 || c[i] > 0xbf)
            return 0;
    return n;
}

/* Behind the opening quote; stops behind the closing one. */
static bool take_string(struct scan *scan, struct mr_bytes *ret, bool *ret_escaped)
{
    const char *from = scan->at;

    *ret_escaped = false;
    for (;;) {
        int n;

        scan->at = skip_plain(scan->at, scan->end);
        if (scan->at == scan->end)
            return wrong(scan, "a string that is not closed");
        if (*scan->at == '"') {
            *ret = (struct mr_bytes){from, (size_t)(scan->at++ - from)};
            return true;
        }
        if (*scan->at == '\\') {
            *ret_escaped = true;
            if (!take_escape(scan))
                return false;
        } else if ((unsigned char)*scan->at < ' ') {
            return wrong(scan, "a control character in a string");
        } else {
            n = utf8_length(scan->at, scan->end);
            if (!n)
                return wrong(scan, "a string that is not UTF-8");
            scan->at += n;
        }
    }
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

size_t json_unescape(char *to, struct mr_bytes text)
{
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *at = text.ptr, *end = at + text.len;
    char *out = to;

    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at)), *name;
        size_t plain = (size_t)((slash ? slash : end) - at);
        int unit;

        memcpy(out, at, plain);
        out += plain;
        if (!slash)
            break;
        at = slash + 2;
        if (slash[1] != 'u') {
            name = strchr(names, slash[1]);
            *out++ = name ? meant[name - names] : slash[1];
            continue;
        }
        unit = hex4(at, end);
        at += 4;
        if (is_high(unit)) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + hex4(at + 2, end) - 0xdc00;
            at += 6;
        }
        out = put_utf8(out, (unsigned)unit);
    }
    return (size_t)(out - to);
}

/* ---- Values
 * -------------------------------------------------------------------------------------- */

static bool take_digits(struct scan *scan)
{
    if (scan->at == scan->end || !is_digit(*scan->at))
        return wrong(scan, "a number without digits");
    while (scan->at < scan->end && is_digit(*scan->at))
        scan->at++;
    return true;
}

static bool take_number(struct scan *scan)
{
    if (*scan->at == '-')
        scan->at++;
    if (scan->at < scan->end && *scan->at == '0')
        scan->at++; /* alone: no number begins with it */
    else if (!take_digits(scan))
        return false;
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        if (!take_digits(scan))
            return false;
    }
    if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
            scan->at++;
        return take_digits(scan);
    }
    return true;
}

static bool take_word(struct scan *scan, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length))
        return wrong(scan, "a word that is none of true, false, null");
    scan->at += length;
    return true;
}

static bool take_scalar(struct scan *scan)
{
    struct mr_bytes text;
    bool escaped;

    switch (*scan->at) {
    case '"':
        scan->at++;
        return take_string(scan, &text, &escaped);
    case 't':
        return take_word(scan, "true");
    case 'f':
        return take_word(scan, "false");
    case 'n':
        return take_word(scan, "null");
    default:
        if (*scan->at != '-' && !is_digit(*scan->at))
            return wrong(scan, "no value where one is expected");
        return take_number(scan);
    }
}

static bool in_object(const struct scan *scan)
{
    uint32_t level = scan->depth - 1;

    return scan->is_object[level / 64] >> (level % 64) & 1;
}

static bool push(struct scan *scan, bool is_object)
{
    uint64_t *word = &scan->is_object[scan->depth / 64 % (JSON_DEPTH / 64)],
             bit = (uint64_t)1 << (scan->depth % 64);

    if (scan->depth == JSON_DEPTH)
        return wrong(scan, "arrays and objects too deep within each other");
    *word = is_object ? *word | bit : *word & ~bit;
    scan->depth++;
    scan->at++;
    skip_blanks(scan);
    return true;
}

/* At a member of the object on top: its name, and the colon. */
static bool take_name(struct scan *scan)
{
    struct json_object *object = scan->object;
    struct mr_bytes name;
    bool escaped;

    if (scan->at == scan->end || *scan->at != '"')
        return wrong(scan, "no name where one is expected");
    scan->at++;
    if (!take_string(scan, &name, &escaped))
        return false;
    skip_blanks(scan);
    if (scan->at == scan->end || *scan->at != ':')
        return wrong(scan, "no colon behind a name");
    scan->at++;
    skip_blanks(scan);
    if (scan->depth > 1)
        return true;
    if (object->count == object->capacity)
        memory_reserve(&object->members, &object->capacity, object->count + 1,
                       sizeof *object->members);
    object->members[object->count++] =
        (struct json_member){.name = name, .name_escaped = escaped, .value = {scan->at, 0}};
    return true;
}

/* A value of the outermost object has ended. */
static void end_member(struct scan *scan)
{
    struct json_member *member = &scan->object->members[scan->object->count - 1];
    struct mr_bytes *value = &member->value;

    value->len = (size_t)(scan->at - value->ptr);
    member->string = *value->ptr == '"';
    if (!member->string)
        return;
    value->ptr++;
    value->len -= 2;
    member->escaped = memchr(value->ptr, '\\', value->len) != NULL;
}

/* Behind a value: closes what ends here, up to where the next value begins. *ret_more is false
 * at the end of the outermost value. */
static bool go_on(struct scan *scan, bool *ret_more)
{
    for (;;) {
        bool of_object;

        *ret_more = scan->depth > 0;
        if (!scan->depth)
            return true;
        of_object = in_object(scan);
        if (of_object && scan->depth == 1)
            end_member(scan);
        skip_blanks(scan);
        if (scan->at == scan->end)
            return wrong(scan, "an array or object that is not closed");
        if (*scan->at == ',') {
            scan->at++;
            skip_blanks(scan);
            return !of_object || take_name(scan);
        }
        if (*scan->at != (of_object ? '}' : ']'))
            return wrong(scan, "no comma between two values");
        scan->at++;
        scan->depth--;
    }
}

/* At a value: takes it, or goes into it if it is not empty. *ret_whole: it has ended. */
static bool enter(struct scan *scan, bool *ret_whole)
{
    bool is_object;

    *ret_whole = true;
    if (scan->at == scan->end)
        return wrong(scan, "no value where one is expected");
    is_object = *scan->at == '{';
    if (!is_object && *scan->at != '[')
        return take_scalar(scan);
    if (!push(scan, is_object))
        return false;
    if (scan->at < scan->end && *scan->at == (is_object ? '}' : ']')) {
        scan->at++;
        scan->depth--;
        return true;
    }
    *ret_whole = false;
    return !is_object || take_name(scan);
}

bool json_scan(struct json_object *object, struct mr_bytes text)
{
    struct scan scan;
    bool more = true, whole;

    scan.object = object;
    scan.at = text.ptr;
    scan.end = text.ptr + text.len;
    scan.depth = 0;
    object->count = 0;
    object->problem = object->place = NULL;
    skip_blanks(&scan);
    while (more) {
        if (!enter(&scan, &whole) || (whole && !go_on(&scan, &more)))
            return false;
    }
    skip_blanks(&scan);
    return scan.at == scan.end || wrong(&scan, "something behind the value");
}

static bool is_called(const struct json_member *member, struct mr_bytes name)
{
    cleanup_free char *plain = NULL;
    struct mr_bytes text = member->name;

    if (member->name_escaped) {
        plain = memory_new(text.len);
        text = (struct mr_bytes){plain, json_unescape(plain, text)};
    }
    return text.len == name.len && !memcmp(text.ptr, name.ptr, name.len);
}

const struct json_member *json_find(const struct json_object *object, struct mr_bytes name)
{
    for (size_t i = object->count; i-- > 0;)
        if (is_called(&object->members[i], name))
            return &object->members[i];
    return NULL;
}
