#include "store/object.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <mr/job.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"

enum { ABI_MAGIC = 0x4d52, JOB_SIZE_MIN = 64, JOB_SIZE_MAX = 4096 };

/* The file, whole, in memory; every access goes through `part`. */
struct image {
    const char *path;
    const uint8_t *bytes;
    uint64_t size;
};

static int reject(const struct image *image, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int reject(const struct image *image, struct error *err, const char *format, ...)
{
    char why[512];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return error_set(err, ERROR_OBJECT, "'%s' is not a job object: %s", image->path, why);
}

/* `size` bytes at `offset`, or NULL when they are not all there. */
static const void *part(const struct image *image, uint64_t offset, uint64_t size)
{
    if (offset > image->size || size > image->size - offset)
        return NULL;
    return image->bytes + offset;
}

static const char *machine_name(unsigned machine)
{
    static char number[32];

    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "aarch64";
    case EM_386:
        return "x86 (32 bit)";
    case EM_ARM:
        return "arm (32 bit)";
    case EM_RISCV:
        return "risc-v";
    default:
        snprintf(number, sizeof number, "machine %u", machine);
        return number;
    }
}

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OUR_MACHINE = EM_AARCH64 };
#elif defined(__riscv)
enum { OUR_MACHINE = EM_RISCV };
#else
#error "tell object.c the ELF number of this machine"
#endif

static int check_header(const struct image *image, Elf64_Ehdr *ret_header, struct error *err)
{
    const uint8_t *ident = part(image, 0, EI_NIDENT);
    const void *header = part(image, 0, sizeof *ret_header);

    if (!ident || memcmp(ident, ELFMAG, SELFMAG))
        return reject(image, err, "it is no ELF file (compile it with cc -shared -fPIC)");
    if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
        return reject(image, err, "it is for a machine of 32 bits or of the other byte order");
    if (!header)
        return reject(image, err, "it is truncated in its header");
    memcpy(ret_header, header, sizeof *ret_header);
    if (ret_header->e_machine != OUR_MACHINE) {
        char theirs[32];

        snprintf(theirs, sizeof theirs, "%s", machine_name(ret_header->e_machine));
        return reject(image, err, "it is for %s, this host is %s", theirs,
                      machine_name(OUR_MACHINE));
    }
    if (ret_header->e_type != ET_DYN)
        return reject(image, err, "it is no shared object (compile it with cc -shared -fPIC)");
    if (ret_header->e_phentsize != sizeof(Elf64_Phdr) ||
        !part(image, ret_header->e_phoff, (uint64_t)ret_header->e_phnum * sizeof(Elf64_Phdr)))
        return reject(image, err, "it is truncated in its program headers");
    return 0;
}

static Elf64_Phdr segment(const struct image *image, const Elf64_Ehdr *header, unsigned i)
{
    Elf64_Phdr segment;

    memcpy(&segment, image->bytes + header->e_phoff + i * sizeof segment, sizeof segment);
    return segment;
}

/* What the loader would map must be in the file, and so must the section table that its tail
 * usually is. */
static int check_whole(const struct image *image, const Elf64_Ehdr *header, struct error *err)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr at = segment(image, header, i);

        if (at.p_type != PT_NULL && !part(image, at.p_offset, at.p_filesz))
            return reject(image, err,
                          "it is truncated: a segment ends at byte %llu, the file at %llu",
                          (unsigned long long)(at.p_offset + at.p_filesz),
                          (unsigned long long)image->size);
    }
    if (header->e_shnum &&
        !part(image, header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize))
        return reject(image, err, "it is truncated: its section headers are missing");
    return 0;
}

/* Bytes at a virtual address, or NULL when no segment of the file holds them all. */
static const void *at_address(const struct image *image, const Elf64_Ehdr *header,
                              uint64_t address, uint64_t size, uint64_t *ret_room)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr at = segment(image, header, i);

        if (at.p_type != PT_LOAD || address < at.p_vaddr ||
            address - at.p_vaddr > at.p_filesz || size > at.p_filesz - (address - at.p_vaddr))
            continue;
        if (ret_room)
            *ret_room = at.p_filesz - (address - at.p_vaddr);
        return part(image, at.p_offset + (address - at.p_vaddr), size);
    }
    return NULL;
}

struct dynamic {
    uint64_t symbols, strings, strings_size;
};

static bool find_dynamic(const struct image *image, const Elf64_Ehdr *header,
                         struct dynamic *ret)
{
    *ret = (struct dynamic){0};
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr at = segment(image, header, i);

        if (at.p_type != PT_DYNAMIC)
            continue;
        for (uint64_t k = 0; k + sizeof(Elf64_Dyn) <= at.p_filesz; k += sizeof(Elf64_Dyn)) {
            Elf64_Dyn entry;

            memcpy(&entry, image->bytes + at.p_offset + k, sizeof entry);
            if (entry.d_tag == DT_NULL)
                break;
            if (entry.d_tag == DT_SYMTAB)
                ret->symbols = entry.d_un.d_ptr;
            else if (entry.d_tag == DT_STRTAB)
                ret->strings = entry.d_un.d_ptr;
            else if (entry.d_tag == DT_STRSZ)
                ret->strings_size = entry.d_un.d_val;
        }
    }
    return ret->symbols && ret->strings && ret->strings_size;
}

/* Finds the defined data symbol `mr_job`. The table's length is said nowhere that can be
 * trusted: it is read until it meets the string table, which linkers put behind it, or its
 * segment's end. */
static int find_job(const struct image *image, const Elf64_Ehdr *header, Elf64_Sym *ret,
                    struct error *err)
{
    static const char name[] = "mr_job";
    struct dynamic dynamic;
    uint64_t room = 0, count;
    const char *strings;
    const uint8_t *symbols;

    if (!find_dynamic(image, header, &dynamic))
        return reject(image, err, "it has no dynamic symbols");
    strings = at_address(image, header, dynamic.strings, dynamic.strings_size, NULL);
    symbols = at_address(image, header, dynamic.symbols, sizeof *ret, &room);
    if (!strings || !symbols)
        return reject(image, err, "its symbol table lies outside the file");
    if (dynamic.strings > dynamic.symbols && dynamic.strings - dynamic.symbols < room)
        room = dynamic.strings - dynamic.symbols;
    count = room / sizeof *ret;
    for (uint64_t i = 0; i < count; i++) {
        memcpy(ret, symbols + i * sizeof *ret, sizeof *ret);
        if (ret->st_shndx != SHN_UNDEF && ret->st_name < dynamic.strings_size &&
            dynamic.strings_size - ret->st_name >= sizeof name &&
            !memcmp(strings + ret->st_name, name, sizeof name))
            return 0;
    }
    return reject(image, err,
                  "it exports no constant `mr_job` (see <mr/job.h>; is it declared const "
                  "struct mr_job?)");
}

static int check_abi(const struct image *image, const Elf64_Ehdr *header,
                     const Elf64_Sym *symbol, struct error *err)
{
    const void *place = at_address(image, header, symbol->st_value, sizeof(uint64_t), NULL);
    uint64_t word, size, version;

    if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || !place)
        return reject(image, err, "its mr_job is no initialised constant");
    memcpy(&word, place, sizeof word);
    version = word >> 32 & 0xffff;
    size = word & 0xffffffff;
    if (word >> 48 != ABI_MAGIC)
        return reject(image, err, "its mr_job does not begin with MR_HEADER");
    if (version != MR_ABI_VERSION)
        return reject(image, err, "it is built for job ABI %u, this Marram knows %d",
                      (unsigned)version, MR_ABI_VERSION);
    if (size < JOB_SIZE_MIN || size > JOB_SIZE_MAX || size > symbol->st_size)
        return reject(image, err, "its mr_job says that it has %llu bytes, the symbol has %llu",
                      (unsigned long long)size, (unsigned long long)symbol->st_size);
    return 0;
}

/* Of a note that is ours, the ABI version; 0 for others. Sizes are rounded up to words. */
static uint32_t note_version(const uint8_t *note, uint64_t room, uint64_t *ret_size)
{
    static const char owner[8] = "Marram";
    Elf64_Nhdr head;
    uint32_t version;

    memcpy(&head, note, sizeof head);
    *ret_size = sizeof head + (((uint64_t)head.n_namesz + 3) & ~3ull) +
                (((uint64_t)head.n_descsz + 3) & ~3ull);
    if (*ret_size > room || head.n_namesz != strlen(owner) + 1 ||
        head.n_descsz != sizeof version || memcmp(note + sizeof head, owner, sizeof owner))
        return 0;
    memcpy(&version, note + sizeof head + sizeof owner, sizeof version);
    return version;
}

/* Objects of older headers have no note. */
static int check_notes(const struct image *image, const Elf64_Ehdr *header, struct error *err)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr at = segment(image, header, i);
        uint64_t size;

        if (at.p_type != PT_NOTE || at.p_align > 4)
            continue;
        for (uint64_t k = 0; k + sizeof(Elf64_Nhdr) <= at.p_filesz; k += size) {
            uint32_t version =
                note_version(image->bytes + at.p_offset + k, at.p_filesz - k, &size);

            if (version && version != MR_ABI_VERSION)
                return reject(image, err,
                              "its note says job ABI %u, this Marram knows %d (readelf -n)",
                              version, MR_ABI_VERSION);
            if (size > at.p_filesz - k)
                break;
        }
    }
    return 0;
}

static int check_image(const struct image *image, struct error *err)
{
    Elf64_Ehdr header;
    Elf64_Sym symbol;

    if (check_header(image, &header, err) || check_whole(image, &header, err) ||
        check_notes(image, &header, err) || find_job(image, &header, &symbol, err))
        return -1;
    return check_abi(image, &header, &symbol, err);
}

/* Opens a regular file of bearable size. */
static int open_object(const char *path, uint64_t *ret_size, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st)) {
        error_errno(err, ERROR_OBJECT, "job object '%s'", path);
    } else if (!S_ISREG(st.st_mode)) {
        error_set(err, ERROR_OBJECT, "job object '%s' is not a regular file", path);
    } else if ((uint64_t)st.st_size > LIMIT_OBJECT) {
        error_set(err, ERROR_OBJECT, "job object '%s' is larger than the limit of 256 MiB",
                  path);
    } else {
        *ret_size = (uint64_t)st.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

int object_check(const char *path, struct error *err)
{
    struct image image = {.path = path};
    cleanup_close int fd = open_object(path, &image.size, err);
    cleanup_free uint8_t *bytes = NULL;
    uint64_t used = 0;

    if (fd < 0)
        return -1;
    bytes = memory_new(image.size);
    while (used < image.size) {
        ssize_t n = pread(fd, bytes + used, image.size - used, (off_t)used);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_OBJECT, "read job object '%s'", path);
        if (n == 0)
            return error_set(err, ERROR_OBJECT, "job object '%s' shrinks while it is read",
                             path);
        used += n > 0 ? (uint64_t)n : 0;
    }
    image.bytes = bytes;
    return check_image(&image, err);
}

int object_sha256(const char *path, uint8_t ret_digest[32], struct error *err)
{
    uint64_t size;
    cleanup_close int fd = open_object(path, &size, err);
    crypto_hash_sha256_state state;
    uint8_t buffer[65536];
    ssize_t n;

    if (fd < 0)
        return -1;
    crypto_hash_sha256_init(&state);
    while ((n = read(fd, buffer, sizeof buffer)) != 0) {
        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_OBJECT, "read job object '%s'", path);
        if (n > 0)
            crypto_hash_sha256_update(&state, buffer, (unsigned long long)n);
    }
    crypto_hash_sha256_final(&state, ret_digest);
    return 0;
}

void object_hex(const uint8_t digest[32], char ret_text[65])
{
    for (int i = 0; i < 32; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}
