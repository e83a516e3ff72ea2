#include "manual/roff.h"

#include <stdbool.h>
#include <string.h>

void roff_text(FILE *out, const char *text, size_t n)
{
    if (n && (*text == '.' || *text == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < n; i++)
        switch (text[i]) {
        case '-':
            fputs("\\-", out);
            break;
        case '\\':
            fputs("\\e", out);
            break;
        case '\'':
            fputs("\\(aq", out);
            break;
        case '~':
            fputs("\\(ti", out);
            break;
        default:
            putc(text[i], out);
        }
}

void roff_line(FILE *out, const char *text)
{
    roff_text(out, text, strlen(text));
}

/* Up to the next empty line, or the end. */
static size_t paragraph_length(const char *text)
{
    const char *end = strstr(text, "\n\n");

    return end ? (size_t)(end - text) : strlen(text);
}

void roff_paragraphs(FILE *out, const char *text, const char *heading, enum roff_which which)
{
    bool first = true;

    while (*text) {
        size_t n = paragraph_length(text), skip = strlen(heading);
        const char *end = text + n;
        bool headed = !strncmp(text, heading, skip);

        if (headed == (which == ROFF_WITH)) {
            if (!first)
                fputs(".PP\n", out);
            first = false;
            for (text += headed ? skip : 0; text < end;) {
                size_t line = strcspn(text, "\n");

                roff_text(out, text, line);
                putc('\n', out);
                text += line + (text + line < end);
            }
        }
        text = end;
        text += strspn(text, "\n");
    }
}
