/* The gate for job objects: a real one passes; whatever else has a name gets the precise
 * reason. */
#include "tests/lib/cmocka_all.h"

#include <dlfcn.h>
#include <elf.h>
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "store/object.h"
#include "tests/lib/folder.h"

/* Each test changes a copy of a real job, whose places it finds through the section headers;
 * the gate reads the program headers. */
struct fixture {
    char *folder;
    char *job; /* path of the real one */
    uint8_t *bytes;
    size_t size;
    char *copy; /* path */
};

static char *build_folder(void)
{
    const char *build = getenv("MARRAM_BUILD");
    char self[4096];
    ssize_t n;

    if (build)
        return memory_text(build);
    /* build/X/tests/unit/test_object */
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    for (int i = 0; i < 3; i++)
        *strrchr(self, '/') = '\0';
    return memory_text(self);
}

static int set_up(void **state)
{
    struct fixture *fixture = memory_zeroed(1, sizeof *fixture);
    cleanup_free char *build = build_folder();

    fixture->folder = folder_new();
    fixture->job = memory_format("%s/jobs/wordcount.so", build);
    fixture->bytes = (uint8_t *)folder_read(build, "jobs/wordcount.so", &fixture->size);
    fixture->copy = folder_path(fixture->folder, "copy.so");
    if (!fixture->bytes)
        fail_msg("%s is missing: build it first (make)", fixture->job);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    folder_remove(fixture->folder);
    free(fixture->job);
    free(fixture->bytes);
    free(fixture->copy);
    free(fixture);
    return 0;
}

static void expect_reason(const char *path, const char *reason)
{
    struct error err = {0};

    if (!object_check(path, &err))
        fail_msg("'%s' passed, though %s", path, reason);
    assert_int_equal(err.code, ERROR_OBJECT);
    assert_non_null(strstr(err.text, path));
    if (!strstr(err.text, reason))
        fail_msg("'%s' does not say '%s'", err.text, reason);
}

static void expect_copy(struct fixture *fixture, const char *reason)
{
    folder_write(fixture->folder, "copy.so", fixture->bytes, fixture->size);
    expect_reason(fixture->copy, reason);
}

/* Writes `value` over the field of a struct at `at`, for one check, and puts back what was
 * there. */
#define expect_with(fixture, at, type, field, value_, reason) \
    do {                                                      \
        uint8_t *place_ = (at);                               \
        type saved_, changed_;                                \
        memcpy(&saved_, place_, sizeof saved_);               \
        changed_ = saved_;                                    \
        changed_.field = (value_);                            \
        memcpy(place_, &changed_, sizeof changed_);           \
        expect_copy(fixture, reason);                         \
        memcpy(place_, &saved_, sizeof saved_);               \
    } while (0)

static Elf64_Ehdr header_of(const struct fixture *fixture)
{
    Elf64_Ehdr header;

    memcpy(&header, fixture->bytes, sizeof header);
    return header;
}

/* The section of a type; its bytes begin at ret->sh_offset. */
static Elf64_Shdr section_of(const struct fixture *fixture, uint32_t type)
{
    Elf64_Ehdr header = header_of(fixture);
    Elf64_Shdr section;

    for (unsigned i = 0; i < header.e_shnum; i++) {
        memcpy(&section, fixture->bytes + header.e_shoff + i * sizeof section, sizeof section);
        if (section.sh_type == type)
            return section;
    }
    fail_msg("no section of type %u", type);
    return section;
}

static uint8_t *segment_of(struct fixture *fixture, uint32_t type)
{
    Elf64_Ehdr header = header_of(fixture);

    for (unsigned i = 0; i < header.e_phnum; i++) {
        uint8_t *place = fixture->bytes + header.e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr segment;

        memcpy(&segment, place, sizeof segment);
        if (segment.p_type == type)
            return place;
    }
    fail_msg("no segment of type %u", type);
    return NULL;
}

/* Where the symbol mr_job stands in the dynamic table. */
static uint8_t *job_symbol(struct fixture *fixture)
{
    Elf64_Shdr symbols = section_of(fixture, SHT_DYNSYM), strings;

    memcpy(&strings,
           fixture->bytes + header_of(fixture).e_shoff + symbols.sh_link * sizeof strings,
           sizeof strings);
    for (uint64_t at = 0; at < symbols.sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;

        memcpy(&symbol, fixture->bytes + symbols.sh_offset + at, sizeof symbol);
        if (!strcmp((char *)fixture->bytes + strings.sh_offset + symbol.st_name, "mr_job"))
            return fixture->bytes + symbols.sh_offset + at;
    }
    fail_msg("no symbol mr_job");
    return NULL;
}

static uint8_t *dynamic_entry(struct fixture *fixture, int64_t tag)
{
    Elf64_Shdr section = section_of(fixture, SHT_DYNAMIC);

    for (uint64_t at = 0; at < section.sh_size; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;

        memcpy(&entry, fixture->bytes + section.sh_offset + at, sizeof entry);
        if (entry.d_tag == tag)
            return fixture->bytes + section.sh_offset + at;
    }
    fail_msg("no dynamic entry %lld", (long long)tag);
    return NULL;
}

static void a_real_job_passes_and_its_digest_is_that_of_sha256sum(void **state)
{
    struct fixture *fixture = *state;
    cleanup_free char *command = memory_format("sha256sum '%s'", fixture->job);
    char expected[65] = "", digest_text[65];
    uint8_t digest[32];
    struct error err = {0};
    FILE *pipe;

    if (object_check(fixture->job, &err))
        fail_msg("%s", err.text);
    assert_int_equal(object_sha256(fixture->job, digest, &err), 0);
    object_hex(digest, digest_text);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fread(expected, 1, 64, pipe), 64);
    pclose(pipe);
    assert_string_equal(digest_text, expected);
}

static void every_truncation_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct error err;

    folder_write(fixture->folder, "copy.so", fixture->bytes, fixture->size);
    assert_int_equal(object_check(fixture->copy, &err), 0);
    for (size_t size = fixture->size; size--;) {
        assert_int_equal(truncate(fixture->copy, (off_t)size), 0);
        if (!object_check(fixture->copy, &err))
            fail_msg("%zu of %zu bytes passed", size, fixture->size);
        assert_int_equal(err.code, ERROR_OBJECT);
        assert_non_null(strstr(err.text, size < 16 ? "no ELF file" : "it is truncated"));
    }
}

static void no_change_to_the_tables_makes_it_crash(void **state)
{
    struct fixture *fixture = *state;
    Elf64_Ehdr header = header_of(fixture);
    Elf64_Shdr dynamic = section_of(fixture, SHT_DYNAMIC),
               symbols = section_of(fixture, SHT_DYNSYM);
    const struct {
        uint64_t offset, size;
    } tables[] = {{0, sizeof header},
                  {header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr)},
                  {dynamic.sh_offset, dynamic.sh_size},
                  {symbols.sh_offset, symbols.sh_size}};
    struct rng rng = {12};
    struct error err;

    for (int round = 0; round < 4000; round++) {
        size_t k = rng_below(&rng, 4), n = 1 + rng_below(&rng, 8), at[8];
        uint8_t saved[8];

        for (size_t i = 0; i < n; i++) {
            static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};

            at[i] = tables[k].offset + rng_below(&rng, tables[k].size);
            saved[i] = fixture->bytes[at[i]];
            fixture->bytes[at[i]] =
                rng_below(&rng, 2) ? edges[rng_below(&rng, 5)] : (uint8_t)rng_next(&rng);
        }
        folder_write(fixture->folder, "copy.so", fixture->bytes, fixture->size);
        if (object_check(fixture->copy, &err))
            assert_int_equal(err.code, ERROR_OBJECT);
        for (size_t i = n; i--;)
            fixture->bytes[at[i]] = saved[i];
    }
}

static void other_machines_are_named(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *header = fixture->bytes;
    uint16_t other = header_of(fixture).e_machine == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;

    expect_with(fixture, header, Elf64_Ehdr, e_machine, other,
                other == EM_AARCH64 ? "it is for aarch64, this host is "
                                    : "it is for x86-64, this host is ");
    expect_with(fixture, header, Elf64_Ehdr, e_machine, EM_S390,
                "it is for machine 22, this host");
    expect_with(fixture, header, Elf64_Ehdr, e_ident[EI_CLASS], ELFCLASS32, "of 32 bits");
    expect_with(fixture, header, Elf64_Ehdr, e_ident[EI_DATA], ELFDATA2MSB, "other byte order");
}

static void what_is_no_shared_object_is_told_how_to_become_one(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *header = fixture->bytes;

    expect_with(fixture, header, Elf64_Ehdr, e_type, ET_EXEC,
                "no shared object (compile it with");
    expect_with(fixture, header, Elf64_Ehdr, e_type, ET_REL, "no shared object");
    expect_with(fixture, header, Elf64_Ehdr, e_ident[EI_MAG0], 'E',
                "no ELF file (compile it with");
}

static void tables_that_point_outside_are_truncations(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *header = fixture->bytes, *load = segment_of(fixture, PT_LOAD);

    expect_with(fixture, header, Elf64_Ehdr, e_phoff, fixture->size, "program headers");
    expect_with(fixture, header, Elf64_Ehdr, e_phoff, UINT64_MAX - 8, "program headers");
    expect_with(fixture, header, Elf64_Ehdr, e_phentsize, 55, "program headers");
    expect_with(fixture, header, Elf64_Ehdr, e_shoff, UINT64_MAX - 8,
                "section headers are missing");
    expect_with(fixture, load, Elf64_Phdr, p_filesz, fixture->size + 1,
                "a segment ends at byte");
    expect_with(fixture, load, Elf64_Phdr, p_offset, UINT64_MAX, "a segment ends at byte");
}

static void symbol_tables_that_lie_elsewhere_are_noticed(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *strings = dynamic_entry(fixture, DT_STRTAB),
            *length = dynamic_entry(fixture, DT_STRSZ);

    expect_with(fixture, segment_of(fixture, PT_DYNAMIC), Elf64_Phdr, p_type, PT_NOTE,
                "no dynamic symbols");
    expect_with(fixture, dynamic_entry(fixture, DT_SYMTAB), Elf64_Dyn, d_un.d_ptr,
                UINT64_MAX - 4, "symbol table lies outside the file");
    expect_with(fixture, strings, Elf64_Dyn, d_un.d_ptr, UINT64_MAX, "lies outside the file");
    expect_with(fixture, length, Elf64_Dyn, d_un.d_val, UINT64_MAX, "lies outside the file");
    expect_with(fixture, length, Elf64_Dyn, d_un.d_val, 0, "no dynamic symbols");
    expect_with(fixture, length, Elf64_Dyn, d_un.d_val, 1, "exports no constant `mr_job`");
}

static void an_object_without_a_defined_mr_job_is_no_job(void **state)
{
    struct fixture *fixture = *state;
    Dl_info library;

    expect_with(fixture, job_symbol(fixture), Elf64_Sym, st_shndx, SHN_UNDEF,
                "exports no constant `mr_job`");
    expect_with(fixture, job_symbol(fixture), Elf64_Sym, st_name, 0,
                "exports no constant `mr_job`");
    expect_with(fixture, job_symbol(fixture), Elf64_Sym, st_name, UINT32_MAX,
                "exports no constant `mr_job`");
    assert_true(dladdr((void *)(uintptr_t)&dlopen, &library));
    expect_reason(library.dli_fname, "exports no constant `mr_job`");
}

static void an_mr_job_that_is_no_constant_is_told_apart(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *symbol = job_symbol(fixture);

    expect_with(fixture, symbol, Elf64_Sym, st_info, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                "mr_job is no initialised constant");
    expect_with(fixture, symbol, Elf64_Sym, st_value, UINT64_MAX,
                "mr_job is no initialised constant");
    expect_with(fixture, symbol, Elf64_Sym, st_size, 8, "the symbol has 8");
}

/* The first word of mr_job, by the layout in <mr/job.h>. */
struct word {
    uint32_t size;
    uint16_t version, magic;
};

static void the_first_word_of_mr_job_is_read_field_by_field(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t word = MR_ABI_WORD;
    uint8_t *place = memmem(fixture->bytes, fixture->size, &word, sizeof word);

    assert_non_null(place);
    expect_with(fixture, place, struct word, magic, 0x524d, "does not begin with MR_HEADER");
    expect_with(fixture, place, struct word, version, 2, "job ABI 2, this Marram knows 1");
    expect_with(fixture, place, struct word, version, 0, "job ABI 0, this Marram knows 1");
    expect_with(fixture, place, struct word, size, 16, "says that it has 16 bytes");
    expect_with(fixture, place, struct word, size, 1 << 20, "says that it has 1048576 bytes");
}

struct note {
    Elf64_Nhdr head;
    char owner[8];
    uint32_t version;
};

static void a_note_of_another_abi_is_refused_and_none_is_needed(void **state)
{
    static const struct note note = {{7, 4, 1}, "Marram", MR_ABI_VERSION};
    struct fixture *fixture = *state;
    uint8_t *place = memmem(fixture->bytes, fixture->size, &note, sizeof note);
    struct error err;

    assert_non_null(place);
    expect_with(fixture, place, struct note, version, 2, "note says job ABI 2, this Marram");
    /* A note of somebody else, or one that ends nowhere, says nothing. */
    place[sizeof(Elf64_Nhdr)] = 'X';
    folder_write(fixture->folder, "copy.so", fixture->bytes, fixture->size);
    assert_false(object_check(fixture->copy, &err));
    memset(place, 0xff, sizeof(Elf64_Nhdr));
    folder_write(fixture->folder, "copy.so", fixture->bytes, fixture->size);
    assert_false(object_check(fixture->copy, &err));
    memcpy(place, &note, sizeof note);
}

static void what_is_no_object_at_all_is_called_that(void **state)
{
    struct fixture *fixture = *state;
    cleanup_free char *missing = folder_path(fixture->folder, "missing.so"),
                      *fifo = folder_path(fixture->folder, "fifo"),
                      *large = folder_path(fixture->folder, "large.so");
    struct rng rng = {4};
    struct error err;
    uint8_t digest[32], noise[3000];

    expect_reason(missing, "No such file or directory");
    assert_int_equal(object_sha256(missing, digest, &err), -1);
    assert_int_equal(err.code, ERROR_OBJECT);
    expect_reason(fixture->folder, "is not a regular file");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect_reason(fifo, "is not a regular file"); /* and does not wait for a writer */
    assert_int_equal(object_sha256(fifo, digest, &err), -1);
    expect_reason("/dev/zero", "is not a regular file");
    folder_text(fixture->folder, "large.so", "\177ELF");
    assert_int_equal(truncate(large, (off_t)LIMIT_OBJECT + 1), 0);
    expect_reason(large, "larger than the limit of 256 MiB");

    folder_text(fixture->folder, "copy.so", "");
    expect_reason(fixture->copy, "it is no ELF file");
    folder_text(fixture->folder, "copy.so", "#!/bin/sh\nexit 0\n");
    expect_reason(fixture->copy, "it is no ELF file");
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)rng_next(&rng);
    folder_write(fixture->folder, "copy.so", noise, sizeof noise);
    expect_reason(fixture->copy, "it is no ELF file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_job_passes_and_its_digest_is_that_of_sha256sum),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(no_change_to_the_tables_makes_it_crash),
        cmocka_unit_test(other_machines_are_named),
        cmocka_unit_test(what_is_no_shared_object_is_told_how_to_become_one),
        cmocka_unit_test(tables_that_point_outside_are_truncations),
        cmocka_unit_test(symbol_tables_that_lie_elsewhere_are_noticed),
        cmocka_unit_test(an_object_without_a_defined_mr_job_is_no_job),
        cmocka_unit_test(an_mr_job_that_is_no_constant_is_told_apart),
        cmocka_unit_test(the_first_word_of_mr_job_is_read_field_by_field),
        cmocka_unit_test(a_note_of_another_abi_is_refused_and_none_is_needed),
        cmocka_unit_test(what_is_no_object_at_all_is_called_that),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
