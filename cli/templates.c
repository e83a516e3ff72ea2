#include "cli/templates.h"

/* The text of a file, between two symbols. The compiler runs in the folder of the Makefile. */
#define EMBED(symbol, file)                                              \
    __asm__(".pushsection .rodata\n"                                     \
            "template_" #symbol ": .incbin \"cli/templates/" file "\"\n" \
            "template_" #symbol "_end: .byte 0\n"                        \
            ".popsection\n");                                            \
    extern const char template_##symbol[], template_##symbol##_end[]

EMBED(job_c, "job.c.in");
EMBED(job_cxx, "job.cc.in");
EMBED(makefile_c, "Makefile.c.in");
EMBED(makefile_cxx, "Makefile.cc.in");
EMBED(cmake, "CMakeLists.txt.in");
EMBED(sample, "sample.txt.in");
EMBED(test, "test.sh.in");
EMBED(readme, "README.md.in");
EMBED(ignored, "gitignore.in");

#define TEXT(symbol) template_##symbol, template_##symbol##_end

const struct template_file templates[] = {
    {"@NAME@.c", TEMPLATE_C, false, TEXT(job_c)},
    {"@NAME@.cc", TEMPLATE_CXX, false, TEXT(job_cxx)},
    {"Makefile", TEMPLATE_C, false, TEXT(makefile_c)},
    {"Makefile", TEMPLATE_CXX, false, TEXT(makefile_cxx)},
    {"CMakeLists.txt", TEMPLATE_ANY, false, TEXT(cmake)},
    {"sample.txt", TEMPLATE_ANY, false, TEXT(sample)},
    {"test.sh", TEMPLATE_ANY, true, TEXT(test)},
    {"README.md", TEMPLATE_ANY, false, TEXT(readme)},
    {".gitignore", TEMPLATE_ANY, false, TEXT(ignored)},
};
const size_t templates_count = sizeof templates / sizeof *templates;
