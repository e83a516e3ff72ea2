/* gentext: text whose words are as unequal as those of a language, for the word count and grep.
 *
 *     gentext text1g.txt 1073741824 400000 42
 *
 * Word number r of WORDS appears in proportion to 1 / (r + 2.7)^1.05 (Zipf-Mandelbrot). The
 * first are the commonest English words, the others are built of syllables, longer as they grow
 * rarer. Lines have 6 to 14 words. The file is exactly BYTES long.
 *
 * An alias table (Walker, Vose) draws a word from one random number and one comparison, and
 * words lie in slots of equal size, so that a copy has a constant length. */
#define _GNU_SOURCE

#include "rng.h"
#include "yardstick.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define USAGE    "OUT BYTES WORDS SEED"
#define COUNT(a) (sizeof(a) / sizeof *(a))

enum {
    WORDS_MAX = 1 << 24,
    WORD_MAX = 24,
    SLOT_BYTES = 32,
    DRAFT_BYTES = 64,
    LINE_WORDS_MIN = 6,
    LINE_WORDS_RANGE = 9,
    /* The last bytes of a file that need not hold a whole word and a blank. */
    TAIL_BYTES = 40,
    BUFFER_BYTES = 1 << 22,
};

static const char *const common_words[] = {
    "the",     "of",      "and",     "to",    "in",      "a",       "is",      "that",
    "for",     "it",      "as",      "was",   "with",    "be",      "by",      "on",
    "not",     "he",      "i",       "this",  "are",     "or",      "his",     "from",
    "at",      "which",   "but",     "have",  "an",      "had",     "they",    "you",
    "were",    "their",   "one",     "all",   "we",      "can",     "her",     "has",
    "there",   "been",    "if",      "more",  "when",    "will",    "would",   "who",
    "so",      "no",      "she",     "other", "its",     "may",     "these",   "what",
    "them",    "than",    "some",    "him",   "time",    "into",    "only",    "do",
    "such",    "my",      "new",     "about", "out",     "also",    "two",     "any",
    "up",      "first",   "could",   "our",   "then",    "most",    "see",     "me",
    "should",  "after",   "said",    "your",  "very",    "between", "made",    "many",
    "over",    "like",    "those",   "did",   "now",     "even",    "well",    "where",
    "must",    "people",  "through", "how",   "same",    "work",    "being",   "because",
    "man",     "life",    "before",  "each",  "much",    "under",   "years",   "way",
    "great",   "state",   "both",    "use",   "upon",    "own",     "used",    "however",
    "us",      "part",    "good",    "world", "make",    "three",   "while",   "long",
    "day",     "without", "just",    "men",   "general", "during",  "another", "little",
    "found",   "here",    "system",  "does",  "de",      "down",    "number",  "case",
    "against", "might",   "still",   "back",  "right",   "know",    "place",   "every",
    "last"};

/* What a made-up syllable consists of; a repeated entry is a likelier one. */
static const char *const onsets[] = {"b",  "c",  "d",  "f",  "g",  "h",  "j",  "k",  "l",  "m",
                                     "n",  "p",  "r",  "s",  "t",  "v",  "w",  "st", "tr", "pr",
                                     "br", "ch", "sh", "th", "cl", "gr", "pl", "fr", "sp", "",
                                     "",   "qu", "cr", "dr", "bl", "fl", "sc"};

static const char *const vowels[] = {"a",  "e",  "i",  "o",  "u",  "a",  "e", "i",  "o", "e",
                                     "ea", "ou", "io", "ai", "ee", "oo", "y", "ia", "ie"};

static const char *const codas[] = {"",   "",   "",   "",   "n",  "r",  "s",  "t",
                                    "l",  "m",  "d",  "c",  "ng", "nt", "st", "ck",
                                    "ss", "ll", "rd", "nd", "x",  "p"};

static const char *const suffixes[] = {"",    "",     "",    "",     "s",    "ed",
                                       "ing", "er",   "ly",  "tion", "ness", "ment",
                                       "al",  "able", "ous", "ity",  "ive"};

struct vocabulary {
    uint32_t size;
    char (*words)[SLOT_BYTES];
    uint8_t *lengths;
    /* Column r of the alias table: word r with this chance, or else word `alias[r]`. */
    double *chances;
    uint32_t *aliases;
};

/* A hash set of the words made so far, as positions + 1; at most half full. */
struct seen {
    uint32_t *slots;
    size_t mask;
};

static void append_one(char *word, const char *const *choices, size_t count, uint64_t *state)
{
    strcat(word, choices[rng_next(state) % count]);
}

/* The rank decides how long a word may be: rare words are longer. */
static void make_word(char *word, uint32_t rank, uint64_t *state)
{
    int syllables = 1;

    if (rank > 1000)
        syllables += (int)(rng_next(state) % 2);
    if (rank > 8000)
        syllables += (int)(rng_next(state) % 2);
    if (rank > 60000)
        syllables++;
    word[0] = 0;
    for (int i = 0; i < syllables; i++) {
        append_one(word, onsets, COUNT(onsets), state);
        append_one(word, vowels, COUNT(vowels), state);
        if (i == syllables - 1 || rng_next(state) % 3 == 0)
            append_one(word, codas, COUNT(codas), state);
    }
    if (rank > 1000 && rng_next(state) % 3 == 0)
        append_one(word, suffixes, COUNT(suffixes), state);
}

/* Remembers that `word` gets this rank; false when an earlier rank has it. */
static bool remember(struct seen *seen, const struct vocabulary *vocabulary, const char *word,
                     uint32_t rank)
{
    uint64_t hash = 1469598103934665603u;

    for (const char *at = word; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    size_t slot = hash & seen->mask;
    while (seen->slots[slot]) {
        if (!strcmp(vocabulary->words[seen->slots[slot] - 1], word))
            return false;
        slot = (slot + 1) & seen->mask;
    }
    seen->slots[slot] = rank + 1;
    return true;
}

static void make_words(struct vocabulary *vocabulary, uint64_t *state)
{
    size_t slots = 1024;
    char draft[DRAFT_BYTES];

    while (slots < 2 * (size_t)vocabulary->size)
        slots *= 2;
    struct seen seen = {allocate(slots * sizeof *seen.slots), slots - 1};
    for (uint32_t rank = 0; rank < vocabulary->size;) {
        if (rank < COUNT(common_words))
            strcpy(draft, common_words[rank]);
        else
            make_word(draft, rank, state);
        size_t length = strlen(draft);
        bool fits = rank < COUNT(common_words) || (length >= 2 && length <= WORD_MAX);
        if (!fits || !remember(&seen, vocabulary, draft, rank))
            continue;
        memcpy(vocabulary->words[rank], draft, length);
        vocabulary->lengths[rank] = (uint8_t)length;
        rank++;
    }
    free(seen.slots);
}

/* Vose's method: each column below the mean is topped up by one above it. The order in which
 * columns are paired is part of the file format: another order draws other words. */
static void make_alias_table(struct vocabulary *vocabulary)
{
    uint32_t size = vocabulary->size, poor = 0, rich = 0;
    uint32_t *poor_columns = allocate(size * sizeof *poor_columns);
    uint32_t *rich_columns = allocate(size * sizeof *rich_columns);
    double *chances = vocabulary->chances, sum = 0;

    for (uint32_t rank = 0; rank < size; rank++) {
        chances[rank] = pow(rank + 2.7, -1.05);
        sum += chances[rank];
    }
    for (uint32_t rank = 0; rank < size; rank++) {
        chances[rank] = chances[rank] / sum * size;
        vocabulary->aliases[rank] = rank;
        if (chances[rank] < 1)
            poor_columns[poor++] = rank;
        else
            rich_columns[rich++] = rank;
    }
    while (poor && rich) {
        uint32_t needy = poor_columns[--poor], donor = rich_columns[rich - 1];

        vocabulary->aliases[needy] = donor;
        chances[donor] -= 1 - chances[needy];
        if (chances[donor] < 1) {
            rich--;
            poor_columns[poor++] = donor;
        }
    }
    /* What is left differs from 1 by rounding alone. */
    while (poor)
        chances[poor_columns[--poor]] = 1;
    while (rich)
        chances[rich_columns[--rich]] = 1;
    free(poor_columns);
    free(rich_columns);
}

/* The upper half of a random number picks the column, the lower half decides within it. */
static inline uint32_t draw_word(const struct vocabulary *vocabulary, uint64_t *state)
{
    uint64_t random = rng_next(state);
    uint32_t column = (uint32_t)(((random >> 32) * vocabulary->size) >> 32);
    double fraction = (double)(uint32_t)random * 0x1p-32;

    return fraction < vocabulary->chances[column] ? column : vocabulary->aliases[column];
}

static inline uint64_t draw_line_words(uint64_t *state)
{
    return LINE_WORDS_MIN + rng_next(state) % LINE_WORDS_RANGE;
}

static void write_text(const struct vocabulary *vocabulary, uint64_t *state, uint64_t bytes,
                       const char *path)
{
    FILE *file = create_stream(path);
    char *buffer = allocate(BUFFER_BYTES + TAIL_BYTES + SLOT_BYTES);
    uint64_t left = bytes, words_left = draw_line_words(state);
    size_t used = 0;

    while (left > TAIL_BYTES) {
        uint32_t word = draw_word(vocabulary, state);
        size_t length = vocabulary->lengths[word];

        memcpy(buffer + used, vocabulary->words[word], SLOT_BYTES);
        used += length;
        if (--words_left) {
            buffer[used++] = ' ';
        } else {
            buffer[used++] = '\n';
            words_left = draw_line_words(state);
        }
        left -= length + 1;
        if (used >= BUFFER_BYTES) {
            put(buffer, used, file, path);
            used = 0;
        }
    }
    /* Fill the rest with words of seven bytes. */
    for (; left > 1; left--)
        buffer[used++] = (left - 1) % 8 == 0 ? ' ' : 'z';
    buffer[used++] = '\n';
    put(buffer, used, file, path);
    close_stream(file, path);
    free(buffer);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        usage(USAGE);
    uint64_t bytes = number(argv[2], 1, INT64_MAX, USAGE);
    uint32_t size = (uint32_t)number(argv[3], 1, WORDS_MAX, USAGE);
    uint64_t state = number(argv[4], 0, UINT64_MAX, USAGE);
    struct vocabulary vocabulary = {
        .size = size,
        .words = allocate(size * sizeof *vocabulary.words),
        .lengths = allocate(size * sizeof *vocabulary.lengths),
        .chances = allocate(size * sizeof *vocabulary.chances),
        .aliases = allocate(size * sizeof *vocabulary.aliases),
    };

    make_words(&vocabulary, &state);
    make_alias_table(&vocabulary);
    write_text(&vocabulary, &state, bytes, argv[1]);
    return 0;
}
