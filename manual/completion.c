#include "manual/completion.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "cli/verbs.h"

/* What is the same whatever the tables hold. It gets along without the package bash-completion.
 * Ids and workers are asked for, within a second. */
static const char fixed[] =
    "_marram_job_names()\n"
    "{\n"
    "    local folder file\n"
    "    folder=$(dirname \"$(readlink -f \"$(type -P \"${COMP_WORDS[0]}\")\")\")\n"
    "    for file in \"$folder\"/jobs/*.so \"$folder\"/../lib/marram/jobs/*.so; do\n"
    "        [[ -e $file ]] && basename \"$file\" .so\n"
    "    done\n"
    "}\n"
    "\n"
    "# The first column of what a verb lists.\n"
    "_marram_listed()\n"
    "{\n"
    "    timeout 1 \"$(type -P marram)\" \"$1\" 2>/dev/null | awk 'NR > 1 { print $1 }'\n"
    "}\n"
    "\n"
    "_marram()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb "
    "first=2 kind\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=\n"
    "    elif [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    case ${COMP_WORDS[0]##*/} in\n"
    "    marram-*)\n"
    "        verb=${COMP_WORDS[0]##*/}\n"
    "        verb=${verb#marram-}\n"
    "        first=1\n"
    "        ;;\n"
    "    *)\n"
    "        verb=${COMP_WORDS[1]}\n"
    "        if ((COMP_CWORD == 1)); then\n"
    "            mapfile -t COMPREPLY < <(compgen -W \"$(_marram_verbs)\" -- \"$cur\")\n"
    "            return\n"
    "        fi\n"
    "        kind=$(_marram_second \"$verb\")\n"
    "        if [[ -n $kind ]]; then\n"
    "            if ((COMP_CWORD == 2)); then\n"
    "                mapfile -t COMPREPLY < <(compgen -W \"$kind\" -- \"$cur\")\n"
    "                return\n"
    "            fi\n"
    "            verb+=\" ${COMP_WORDS[2]}\"\n"
    "            first=3\n"
    "        fi\n"
    "        ;;\n"
    "    esac\n"
    "    kind=$(_marram_value \"$verb\" \"$prev\")\n"
    "    if [[ -z $kind && $cur == -* ]]; then\n"
    "        kind=$(_marram_options \"$verb\")\n"
    "    elif [[ -z $kind ]]; then\n"
    "        kind=$(_marram_word \"$verb\")\n"
    "        if ((COMP_CWORD > first)); then\n"
    "            [[ $kind == @jobs ]] || return\n"
    "            kind=@files # of --input\n"
    "        fi\n"
    "    fi\n"
    "    case $kind in\n"
    "    @files) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    @folders) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "    @ids) mapfile -t COMPREPLY < <(compgen -W \"$(_marram_listed jobs)\" -- \"$cur\") ;;\n"
    "    @workers) mapfile -t COMPREPLY < <(compgen -W \"$(_marram_listed workers)\" -- "
    "\"$cur\") ;;\n"
    "    @jobs)\n"
    "        mapfile -t COMPREPLY < <(\n"
    "            compgen -W \"$(_marram_job_names)\" -- \"$cur\"\n"
    "            compgen -f -X '!*.so' -- \"$cur\"\n"
    "            compgen -d -- \"$cur\"\n"
    "        )\n"
    "        ;;\n"
    "    @verbs) mapfile -t COMPREPLY < <(compgen -W \"$(_marram_verbs)\" -- \"$cur\") ;;\n"
    "    @any) ;;\n"
    "    *) mapfile -t COMPREPLY < <(compgen -W \"$kind\" -- \"$cur\") ;;\n"
    "    esac\n"
    "}\n"
    "complete -o filenames -F _marram marram marram-coordinator marram-worker\n";

static void print_choices(FILE *out, const char *choices)
{
    const char *choice;
    size_t n;
    bool first = true;

    while (option_choice(&choices, &choice, &n)) {
        fprintf(out, "%s%.*s", first ? "" : " ", (int)n, choice);
        first = false;
    }
}

static bool is_one_of(const char *text, const char *choices)
{
    const char *choice;
    size_t n;

    while (option_choice(&choices, &choice, &n))
        if (strlen(text) == n && !memcmp(text, choice, n))
            return true;
    return false;
}

/* What may follow an option that takes an argument. */
static void print_value(FILE *out, const struct option_row *row)
{
    if (row->kind == OPTION_SWITCH)
        fputs("on off", out);
    else if (row->choices)
        print_choices(out, row->choices);
    else if (is_one_of(row->argument, "DIR"))
        fputs("@folders", out);
    else if (is_one_of(row->argument, "FILE|URI|URI..."))
        fputs("@files", out);
    else
        fputs("@any", out);
}

static void print_verb_values(FILE *out, const struct verb *verb)
{
    cleanup_free void *into = memory_zeroed(1, verb->size);
    struct option_table table = {.count = 0};

    verb->options(into, &table);
    for (size_t i = 0; i < table.count; i++) {
        const struct option_row *row = &table.rows[i];

        if (row->kind == OPTION_FLAG)
            continue;
        fprintf(out, "    '%s --%s'", verb->name, row->name);
        if (row->letter)
            fprintf(out, " | '%s -%c'", verb->name, row->letter);
        fputs(") echo '", out);
        print_value(out, row);
        fputs("' ;;\n", out);
    }
}

static void print_verb_options(FILE *out, const struct verb *verb)
{
    cleanup_free void *into = memory_zeroed(1, verb->size);
    struct option_table table = {.count = 0};

    verb->options(into, &table);
    fprintf(out, "    '%s') echo '", verb->name);
    for (size_t i = 0; i < table.count; i++) {
        fprintf(out, "--%s ", table.rows[i].name);
        if (table.rows[i].letter)
            fprintf(out, "-%c ", table.rows[i].letter);
    }
    fputs("--config --help' ;;\n", out);
}

/* The words that are no options, by how the usage calls the first. */
static const char *word_of(const struct verb *verb)
{
    static const struct {
        const char *called, *kind;
    } kinds[] = {
        {"JOB", "@jobs"}, {"ID", "@ids"}, {"WORKER", "@workers"}, {"[VERB]", "@verbs"}};
    size_t n = strcspn(verb->usage, " ");

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].called) == n && !memcmp(verb->usage, kinds[i].called, n))
            return kinds[i].kind;
    return "@any";
}

/* First words, each once; those of two words stand together in the table. */
static void print_first_words(FILE *out)
{
    const char *last = "";
    size_t last_n = 0;

    for (int i = 0; verbs[i]; i++) {
        size_t n = strcspn(verbs[i]->name, " ");

        if (n != last_n || memcmp(last, verbs[i]->name, n))
            fprintf(out, "%s%.*s", i ? " " : "", (int)n, verbs[i]->name);
        last = verbs[i]->name;
        last_n = n;
    }
}

static void print_second_words(FILE *out)
{
    for (int i = 0; verbs[i]; i++) {
        const char *blank = strchr(verbs[i]->name, ' ');

        if (blank)
            fprintf(out, "    %.*s) echo %s ;;&\n", (int)(blank - verbs[i]->name),
                    verbs[i]->name, blank + 1);
    }
}

void completion_bash(FILE *out)
{
    fputs("# Completion of marram for bash; generated from its tables of options.\n\n"
          "_marram_verbs()\n{\n    echo '",
          out);
    print_first_words(out);
    fputs("'\n}\n\n# The second words of a verb that has two.\n_marram_second()\n{\n"
          "    case $1 in\n",
          out);
    print_second_words(out);
    fputs("    esac\n}\n\n_marram_options()\n{\n    case $1 in\n", out);
    for (int i = 0; verbs[i]; i++)
        print_verb_options(out, verbs[i]);
    fputs(
        "    esac\n}\n\n# What follows an option.\n_marram_value()\n{\n    case \"$1 $2\" in\n",
        out);
    for (int i = 0; verbs[i]; i++)
        print_verb_values(out, verbs[i]);
    fputs("    *' --config') echo '@files' ;;\n    esac\n}\n\n"
          "# What follows a verb.\n_marram_word()\n{\n    case $1 in\n",
          out);
    for (int i = 0; verbs[i]; i++)
        fprintf(out, "    '%s') echo '%s' ;;\n", verbs[i]->name, word_of(verbs[i]));
    fputs("    esac\n}\n\n", out);
    fputs(fixed, out);
}
