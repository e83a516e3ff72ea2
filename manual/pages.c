#include "manual/pages.h"

#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "cli/verbs.h"
#include "manual/roff.h"

static const char exit_status[] = "Exit status: ";

/* "cluster up" as "cluster-up", or as "CLUSTER-UP". */
static void print_name(FILE *out, const char *name, bool capitals)
{
    for (; *name; name++)
        if (*name == ' ')
            fputs("\\-", out);
        else
            putc(capitals ? toupper((unsigned char)*name) : *name, out);
}

static void print_options(FILE *out, const struct verb *verb,
                          void (*print)(FILE *out, const struct option_row *row))
{
    cleanup_free void *into = memory_zeroed(1, verb->size);
    struct option_table table = {.count = 0};

    verb->options(into, &table);
    for (size_t i = 0; i < table.count; i++)
        print(out, &table.rows[i]);
}

static void print_default(FILE *out, const struct option_row *row)
{
    cleanup_free char *value = row->kind == OPTION_FLAG ? NULL : option_text(row);
    const char *standard = value && *value ? value : row->unset;

    if (!standard)
        return;
    fputs(" (default: ", out);
    roff_line(out, standard);
    putc(')', out);
}

static void print_option(FILE *out, const struct option_row *row)
{
    char variable[OPTION_ENVIRONMENT];

    fputs(".TP\n", out);
    if (row->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", out);
    roff_line(out, row->name);
    fputs("\\fR", out);
    if (row->argument) {
        fputs(" \\fI", out);
        roff_line(out, row->argument);
        fputs("\\fR", out);
    }
    putc('\n', out);
    roff_line(out, row->help);
    print_default(out, row);
    fputs(".\n", out);
    if (option_settable(row))
        fprintf(out, "Environment: \\fB%s\\fR.\n", option_environment(row, variable));
}

static void print_title(FILE *out, const char *name, int section)
{
    fputs(".TH MARRAM", out);
    if (*name)
        fputs(*name == '.' ? "" : "\\-", out);
    print_name(out, name, true);
    fprintf(out, " %d \"" MARRAM_DATE "\" \"Marram " MARRAM_VERSION "\" \"Marram\"\n", section);
    fputs(".nh\n.ad l\n", out);
}

void pages_verb(FILE *out, const struct verb *verb)
{
    print_title(out, verb->name, 1);
    fputs(".SH NAME\nmarram\\-", out);
    print_name(out, verb->name, false);
    fputs(" \\- ", out);
    roff_line(out, verb->summary);
    fprintf(out, "\n.SH SYNOPSIS\n\\fBmarram %s\\fR ", verb->name);
    roff_line(out, verb->usage);
    fputs("\n.SH DESCRIPTION\n", out);
    roff_paragraphs(out, verb->about, exit_status, ROFF_WITHOUT);
    fputs(".SH OPTIONS\n", out);
    print_options(out, verb, print_option);
    fputs(".TP\n\\fB\\-\\-config\\fR \\fIFILE\\fR\nread this configuration file and no other.\n"
          "Environment: \\fBMARRAM_CONFIG\\fR.\n"
          ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nshow a summary of this.\n",
          out);
    if (verb->notes && strncmp(verb->notes, exit_status, strlen(exit_status))) {
        fputs(".SH NOTES\n", out);
        roff_paragraphs(out, verb->notes, exit_status, ROFF_WITHOUT);
    }
    if (verb->notes && strstr(verb->notes, exit_status)) {
        fputs(".SH EXIT STATUS\n", out);
        roff_paragraphs(out, verb->notes, exit_status, ROFF_WITH);
    }
    fputs(".SH SEE ALSO\n.BR marram (1),\n.BR marram.conf (5)\n", out);
}

void pages_overview(FILE *out)
{
    print_title(out, "", 1);
    fputs(
        ".SH NAME\nmarram \\- MapReduce jobs that are compiled shared objects\n"
        ".SH SYNOPSIS\n\\fBmarram\\fR VERB [arguments]\n"
        ".SH DESCRIPTION\n"
        "Marram cuts files into tasks, runs a job\\(aqs map and reduce functions on all cores "
        "of all\nworkers, and writes what they make into a folder that appears when all of it "
        "is right.\n.PP\n"
        "Data goes to standard output, progress and errors to standard error.\n"
        ".SH VERBS\n",
        out);
    for (int i = 0; verbs[i]; i++) {
        fputs(".TP\n.BR marram\\-", out);
        print_name(out, verbs[i]->name, false);
        fputs(" (1)\n", out);
        roff_line(out, verbs[i]->summary);
        fputs(".\n", out);
    }
    fputs(
        ".PP\n\\fBmarram\\-coordinator\\fR and \\fBmarram\\-worker\\fR are the two daemons by "
        "names of their own.\n"
        ".SH EXIT STATUS\n"
        ".TP\n0\ndone.\n.TP\n1\nthe job failed or was cancelled, or what was asked for is not "
        "there.\n.TP\n2\nwrong usage, or refused before any work.\n.TP\n3\nno coordinator "
        "answers.\n.TP\n4\nrefused: authentication, limits, versions that do not fit.\n"
        ".TP\n130\ninterrupted.\n"
        ".SH FILES\n"
        ".TP\n/etc/marram/marram.conf, \\(ti/.config/marram/config\nwhat options are when the "
        "command line does not say: see\n.BR marram.conf (5).\n"
        ".SH EXAMPLES\n.EX\nmarram run wordcount \\-i /usr/share/common\\-licenses \\-o "
        "/tmp/words\n.EE\n"
        ".SH SEE ALSO\n.BR marram.conf (5)\n",
        out);
}

static void print_key(FILE *out, const struct option_row *row)
{
    char wanted[OPTION_WANTED];

    if (!option_settable(row))
        return;
    fputs(".TP\n\\fB", out);
    roff_line(out, row->name);
    fputs("\\fR = \\fI", out);
    roff_line(out, row->argument ? row->argument : "on|off");
    fputs("\\fR\n", out);
    roff_line(out, row->help);
    print_default(out, row);
    fputs(".\n", out);
    if (row->kind == OPTION_COUNT) {
        putc(toupper(*option_wanted(row, wanted)), out);
        roff_line(out, wanted + 1);
        fputs(".\n", out);
    }
}

static bool has_keys(const struct verb *verb)
{
    cleanup_free void *into = memory_zeroed(1, verb->size);
    struct option_table table = {.count = 0};

    verb->options(into, &table);
    for (size_t i = 0; i < table.count; i++)
        if (option_settable(&table.rows[i]))
            return true;
    return false;
}

void pages_configuration(FILE *out)
{
    print_title(out, ".conf", 5);
    fputs(
        ".SH NAME\nmarram.conf \\- what options are when the command line does not say\n"
        ".SH SYNOPSIS\n/etc/marram/marram.conf\n.br\n$XDG_CONFIG_HOME/marram/config, else "
        "\\(ti/.config/marram/config\n"
        ".SH DESCRIPTION\n"
        "A section for each verb, such as [worker] or [cluster up], has lines KEY = VALUE; the "
        "keys\nare the names of the verb\\(aqs options. [marram] is for every verb that has "
        "such an option.\nA line that begins with # or ; is a comment, and so is what follows "
        "a blank and a semicolon.\n"
        ".PP\n"
        "The later wins: the default, the file of the system, that of the user, variables of "
        "the\nenvironment (\\fBMARRAM_LOG_LEVEL\\fR for the key \\fBlog\\-level\\fR), the "
        "command line.\nWith \\fB\\-\\-config\\fR \\fIFILE\\fR, or \\fBMARRAM_CONFIG\\fR, that "
        "file is read and no other.\nWithin a file, the section of the verb wins over "
        "[marram]; "
        "of two equal keys the second.\n"
        ".PP\n"
        "A section or key that does not exist, or a value that makes no sense, is an error "
        "that\nnames the line.\n\\fBmarram config \\-\\-show\\-origin\\fR tells what is in "
        "force and why.\n",
        out);
    for (int i = 0; verbs[i]; i++) {
        if (!has_keys(verbs[i]))
            continue;
        fprintf(out, ".SH [%s]\n", verbs[i]->name);
        print_options(out, verbs[i], print_key);
    }
    fputs(".SH EXAMPLES\n.EX\n[marram]\ncoordinator = tcp://10.0.0.1:7077\n\n[worker]\n"
          "threads = 4\n.EE\n.SH SEE ALSO\n.BR marram (1),\n.BR marram\\-config (1)\n",
          out);
}
