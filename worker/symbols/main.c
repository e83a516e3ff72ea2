/* marram-symbols OBJECT NAME: a backtrace from stdin to stdout, with names.
 *
 * Frames in the object called NAME, "(NAME+0x1190)", get function, file and line, as far as the
 * debug information in OBJECT has them; all else passes as it is. A process of its own: it
 * reads whatever a user calls a job object, and its agent must outlive that. */
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 512 };

struct object {
    Dwfl *dwfl;
    Dwfl_Module *module;
    Dwarf_Addr base;
};

static int open_object(struct object *object, const char *path)
{
    static const Dwfl_Callbacks callbacks = {.section_address = dwfl_offline_section_address,
                                             .find_debuginfo = dwfl_standard_find_debuginfo};

    object->dwfl = dwfl_begin(&callbacks);
    if (!object->dwfl)
        return -1;
    object->module = dwfl_report_offline(object->dwfl, "", path, -1);
    if (!object->module || dwfl_report_end(object->dwfl, NULL, NULL))
        return -1;
    dwfl_module_info(object->module, NULL, &object->base, NULL, NULL, NULL, NULL, NULL);
    return 0;
}

/* The file and line of an address; NULL: nobody knows. clang writes no table of which unit an
 * address is of, so the units are asked themselves where libdw finds none. */
static const char *source_of(const struct object *object, Dwarf_Addr address, int *ret_line)
{
    Dwfl_Line *line = dwfl_module_getsrc(object->module, address);
    Dwarf_Die *unit = NULL;
    Dwarf_Addr bias;

    if (line)
        return dwfl_lineinfo(line, NULL, ret_line, NULL, NULL, NULL);
    while ((unit = dwfl_module_nextcu(object->module, unit, &bias))) {
        Dwarf_Line *found;

        if (dwarf_haspc(unit, address - bias) <= 0)
            continue;
        found = dwarf_getsrc_die(unit, address - bias);
        if (found && !dwarf_lineno(found, ret_line))
            return dwarf_linesrc(found, NULL, NULL);
    }
    return NULL;
}

/* What lies at an address: "count_words+0x1b at bad.c:74 "; returns how much was written. */
static size_t describe(const struct object *object, Dwarf_Addr address, Dwarf_Addr shown,
                       char *text, size_t size)
{
    GElf_Sym symbol;
    GElf_Off offset;
    const char *name = dwfl_module_addrinfo(object->module, address, &offset, &symbol, NULL,
                                            NULL, NULL),
               *file, *slash;
    int number = 0, used = 0;

    file = source_of(object, address, &number);
    if (name)
        used = snprintf(text, size, "%.80s+0x%" PRIx64 " ", name,
                        (uint64_t)(offset + (shown - address)));
    if (file) {
        slash = strrchr(file, '/');
        used += snprintf(text + used, size - (size_t)used, "at %.80s:%d ",
                         slash ? slash + 1 : file, number);
    }
    return (size_t)used;
}

/* A line of the trace: "  #3 name+0x12 (NAME+0x1190)". */
static void print_line(const struct object *object, const char *name, const char *line)
{
    const char *number = strchr(line, '#'), *open = strrchr(line, '(');
    size_t length = strlen(name);
    Dwarf_Addr at;
    char text[LINE];

    if (!number || !open || strncmp(open + 1, name, length) || open[1 + length] != '+') {
        fputs(line, stdout);
        return;
    }
    at = object->base + strtoull(open + 2 + length, NULL, 16);
    /* All but the first frame say where they return to: behind the call. */
    if (describe(object, strtol(number + 1, NULL, 10) ? at - 1 : at, at, text, sizeof text))
        printf("%.*s %s%s", (int)(number - line + (ptrdiff_t)strcspn(number, " ")), line, text,
               open);
    else
        fputs(line, stdout);
}

int main(int argc, char **argv)
{
    struct object object;
    char line[LINE];

    if (argc != 3) {
        fputs("marram-symbols OBJECT NAME: names the frames of a backtrace from stdin\n",
              stderr);
        return 2;
    }
    if (open_object(&object, argv[1])) {
        fprintf(stderr, "marram-symbols: '%s': %s\n", argv[1], dwfl_errmsg(-1));
        return 1;
    }
    while (fgets(line, sizeof line, stdin))
        print_line(&object, argv[2], line);
    dwfl_end(object.dwfl);
    return 0;
}
