# Marram. `make help` lists the targets. Nothing is configured; everything is built under build/$(BUILD)/.
BUILD  ?= release
PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^\#define MARRAM_VERSION "\(.*\)"$$/\1/p' mrlib/base/version.h)
OUT    := build/$(BUILD)
Q      := $(if $(V),,@)
comma  := ,
# As many at once as there are processors, unless make is told otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

# clang's runtime knows the barriers of OpenMP better than gcc's does.
ifeq ($(BUILD),tsan)
CC     := clang-14
CXX    := clang++-14
else
CC     := gcc
CXX    := g++
endif

OPT_release := -O3 -g
OPT_debug   := -O1 -g3
OPT_asan    := -O1 -g3 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
OPT_check   := -O3 -g -Werror
OPT_tsan    := -O1 -g3 -fno-omit-frame-pointer -fsanitize=thread
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wno-missing-field-initializers
CWARN  := $(WARN) -Wstrict-prototypes -Wmissing-prototypes
PKGS   := libzmq libprotobuf-c libsodium jansson sqlite3 inih zlib liblz4 libzstd libmicrohttpd
SEARCH := -D_GNU_SOURCE -I. -Imrlib -Imrlib/include -I$(OUT) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
override CFLAGS += -std=gnu17 $(OPT_$(BUILD)) $(CWARN) -fopenmp -fvisibility=hidden -MMD -MP
LDLIBS := -Wl,--as-needed $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lczmq -lm -ldl -lpthread
JOBFLAGS := $(OPT_$(BUILD)) -fvisibility=hidden -fPIC -shared -Imrlib/include -MMD -MP
LIBS_grep := -lpcre2-8
LIBS_teravalidate := -lz

objects = $(patsubst %.c,$(OUT)/%.o,$(sort $(shell find $(1) -name '*.c')))
LIB      := $(OUT)/libmr.a
WIRE     := $(OUT)/wire/mr.pb-c.c
PROGRAMS := $(OUT)/marram $(OUT)/marram-executor $(OUT)/marram-symbols
NAMES    := $(OUT)/marram-coordinator $(OUT)/marram-worker
JOBS     := $(patsubst jobs/%.c,$(OUT)/jobs/%.so,$(wildcard jobs/*.c))
TESTJOBS := $(patsubst tests/jobs/%,$(OUT)/tests/jobs/%.so,$(basename $(wildcard tests/jobs/*.c tests/jobs/*.cc))) \
            $(OUT)/tests/golden/v1/golden.so
UNIT     := $(patsubst %.c,$(OUT)/%,$(wildcard tests/unit/test_*.c tests/sim/test_*.c))
SIMULATIONS := $(filter $(OUT)/tests/sim/%,$(UNIT))
# Those that take long because their faults do are left to `make chaos`.
CHAOS    := $(wildcard tests/cluster/chaos/row*.sh)
SUITES   := $(wildcard tests/cluster/test_*.sh) $(filter-out %_workers_apart.sh %_cut_and_healed.sh %_lossy_link.sh,$(CHAOS))
# What these claim has nothing to do with threads, or with memory: the other builds are enough.
ifeq ($(BUILD),tsan)
SUITES   := $(filter-out $(patsubst %,tests/cluster/test_%.sh,install manual readme config misuse fields formats),$(SUITES))
endif
# Elasticity in its long forms, and what grows over many jobs.
LONGER   := $(addprefix tests/cluster/,test_drain.sh test_restart.sh chaos/endurance.sh)
TOOLS    := $(patsubst tests/tools/%.c,$(OUT)/tests/tools/%,$(wildcard tests/tools/*.c))
SCALE    := $(OUT)/tests/sim/scale_sched
AGENT    := $(call objects,worker/agent)
EXECUTOR := $(call objects,worker/executor)
COORD    := $(call objects,coordinator)
CLI      := $(call objects,cli)
TESTLIB  := $(call objects,tests/lib)
SHARE    := $(OUT)/share/.made

.PHONY: all man everything test test-built sim sim-built chaos chaos-built test-docker check demo demo-built bench soak fuzz install uninstall deb deb-built clean help FORCE
all: $(PROGRAMS) $(NAMES) $(JOBS)

$(OUT)/marram: $(CLI) $(COORD) $(AGENT) $(LIB)
$(OUT)/marram-executor: $(EXECUTOR) $(LIB)
$(OUT)/marram-executor: override LDLIBS += -lseccomp
$(OUT)/marram-symbols: $(OUT)/worker/symbols/main.o
$(OUT)/marram-symbols: override LDLIBS := -ldw
$(UNIT): $(OUT)/%: $(OUT)/%.o $(TESTLIB) $(filter-out %/main.o,$(CLI) $(COORD) $(AGENT)) $(LIB)
$(UNIT): override LDLIBS += -lcmocka
# A disk that fails, at any call.
$(OUT)/tests/unit/test_journal_faults: override LDLIBS += \
    $(patsubst %,-Wl$(comma)--wrap=%,pwrite fdatasync fsync rename unlinkat)
$(OUT)/tests/bench/journal_rate: $(OUT)/tests/bench/journal_rate.o $(filter $(OUT)/coordinator/journal%,$(COORD)) $(LIB)
$(SCALE): $(OUT)/%: $(OUT)/%.o $(COORD) $(LIB)
$(OUT)/manual/generate: $(call objects,manual) $(filter-out %/main.o,$(CLI)) $(COORD) $(AGENT) $(LIB)
$(PROGRAMS) $(UNIT) $(SCALE) $(OUT)/tests/bench/journal_rate $(OUT)/manual/generate:
	@echo "  LINK  $@"; mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LDLIBS)
$(TOOLS): $(OUT)/%: $(OUT)/%.o $(LIB)
	@echo "  LINK  $@"; mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LDLIBS)
# What is preloaded into a daemon knows nothing of us.
$(OUT)/tests/preload/%.so: tests/preload/%.c
	@echo "  CC    $<"; mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -O2 $(CWARN) -D_GNU_SOURCE -fvisibility=hidden -fPIC -shared -o $@ $<
# The files that `marram new` writes are part of the program.
$(OUT)/cli/templates.o: $(wildcard cli/templates/*.in)
# Manual pages and completion, from the tables of options.
man: $(SHARE)
$(SHARE): $(OUT)/manual/generate
	@echo "  MAN   $(@D)"; rm -rf $(@D); mkdir -p $(@D)/man/man1 $(@D)/man/man5 $(@D)/bash-completion/completions
	$(Q)$< $(@D) && touch $@
# The daemons are the same program by another name.
$(NAMES): | $(OUT)/marram
	@echo "  LN    $@"
	$(Q)ln -sf marram $@
$(LIB): $(call objects,mrlib) $(WIRE:.c=.o)
	@echo "  AR    $@"; rm -f $@
	$(Q)$(AR) rcs $@ $^
$(OUT)/%.o: %.c $(OUT)/.flags | $(WIRE)
	@echo "  CC    $<"; mkdir -p $(@D)
	$(Q)$(CC) $(SEARCH) $(CFLAGS) -c -o $@ $<
$(OUT)/wire/mr.pb-c.o: $(WIRE)
	@echo "  CC    $<"
	$(Q)$(CC) $(SEARCH) $(CFLAGS) -w -c -o $@ $<
# Both at once: without a rule for the header, what includes it would be compiled again only by the next make.
$(WIRE) $(WIRE:.c=.h) &: mrlib/wire/mr.proto
	@echo "  PROTO $<"; mkdir -p $(@D)
	$(Q)protoc-c -I$(<D) --c_out=$(@D) $(<F)
$(OUT)/jobs/%.so: jobs/%.c $(OUT)/.flags
	@echo "  JOB   $@"; mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 $(JOBFLAGS) $(CWARN) -o $@ $< $(LIBS_$*)
$(OUT)/tests/jobs/%.so: tests/jobs/%.c $(OUT)/.flags
	@echo "  JOB   $@"; mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 $(JOBFLAGS) $(CWARN) -o $@ $<
$(OUT)/tests/jobs/%.so: tests/jobs/%.cc $(OUT)/.flags
	@echo "  JOB   $@"; mkdir -p $(@D)
	$(Q)$(CXX) -std=c++20 $(JOBFLAGS) $(WARN) -o $@ $<
# Built against the header as it was when the first objects went out, never against today's.
$(OUT)/tests/golden/%/golden.so: tests/golden/%/golden.c tests/golden/%/mr/job.h
	@echo "  JOB   $@"; mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 $(OPT_$(BUILD)) -fvisibility=hidden -fPIC -shared -Itests/golden/$* -o $@ $<
$(OUT)/.flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS)' >$@
FORCE:

# ---- What people type first: these install what is missing, then begin again with everything there ----

demo:
	@scripts/install-deps.sh build
	@$(MAKE) --no-print-directory BUILD=release demo-built
demo-built: all
	@scripts/demo.sh $(INPUT)

test:
	@scripts/install-deps.sh $(if $(filter tsan,$(BUILD)),all,test)
	@$(MAKE) --no-print-directory test-built
PRELOADS := $(patsubst %.c,$(OUT)/%.so,$(wildcard tests/preload/*.c))
everything: all man $(UNIT) $(SCALE) $(TESTJOBS) $(TOOLS) $(PRELOADS) \
    $(OUT)/tests/bench/journal_rate
test-built: everything
	@tests/run.sh $(BUILD) $(SUITES) $(UNIT)

SEEDS ?= 20000
sim:
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory sim-built
sim-built: $(SIMULATIONS)
	@MARRAM_SIM_SEEDS=$(SEEDS) tests/run.sh $(BUILD) $(SIMULATIONS)

# What takes long may take longer.
chaos-built test-docker soak: export SUITE_SECONDS ?= 3600
chaos:
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory chaos-built
chaos-built: everything
	@MARRAM_FULL=1 tests/run.sh $(BUILD) $(CHAOS) $(LONGER)

# Needs an engine that the user may use; without one it says so, which is no failure.
test-docker:
	@! tests/docker/available.sh || { scripts/install-deps.sh test && \
	    $(MAKE) --no-print-directory BUILD=release all build/release/tests/jobs/slow.so && \
	    tests/run.sh release $(wildcard tests/docker/test_*.sh); }

check:
	@scripts/install-deps.sh all
	@$(MAKE) --no-print-directory BUILD=check everything
	@scripts/check.sh

soak:
	@scripts/install-deps.sh soak
	@MARRAM_FULL=1 MARRAM_BIG=1 MARRAM_SIM_SEEDS=20000 $(MAKE) --no-print-directory test-built
	@MARRAM_FULL=1 ENDURANCE_JOBS=1000 tests/run.sh $(BUILD) $(filter-out $(SUITES),$(CHAOS) $(LONGER)) \
	    tests/cluster/chaos/random.sh

bench:
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory BUILD=release all build/release/tests/sim/scale_sched
	@build/release/tests/sim/scale_sched
	@tests/bench/run.sh

# ---- Fuzzing: each decoder of foreign bytes, FUZZ_SECONDS each -------------------------------------

FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS := -std=gnu17 -O1 -g -fopenmp -w -Werror=implicit-function-declaration -fsanitize=address,undefined
# What targets share is compiled once, into an archive of which each takes what it needs.
FUZZ_OBJECTS := $(patsubst $(OUT)/%,build/fuzz/%,$(filter-out %/main.o,$(CLI) $(COORD) $(AGENT)) \
    $(call objects,mrlib) $(call objects,tests/fuzz/lib) $(WIRE:.c=.o) $(OUT)/worker/executor/params.o)
build/fuzz/%.o: %.c | $(WIRE)
	@echo "  FUZZ  $<"; mkdir -p $(@D)
	$(Q)clang-14 $(SEARCH) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
build/fuzz/wire/mr.pb-c.o: $(WIRE)
	@echo "  FUZZ  $<"; mkdir -p $(@D)
	$(Q)clang-14 $(SEARCH) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<
build/fuzz/libshared.a: $(FUZZ_OBJECTS)
	@echo "  AR    $@"; rm -f $@
	$(Q)$(AR) rcs $@ $^
# Their coordinator has no peers: what it sends goes to tests/fuzz/lib/world.c.
build/fuzz/fuzz_coordinator build/fuzz/fuzz_restore: override LDLIBS += \
    -Wl,--wrap=link_send -Wl,--wrap=link_send_once
# Nor has who fetches: it speaks to sources of the target's own.
build/fuzz/fuzz_fetched: override LDLIBS += \
    $(foreach name,connect_guarded close send tend receive,-Wl$(comma)--wrap=link_$(name))
$(FUZZERS): build/fuzz/%: build/fuzz/tests/fuzz/%.o build/fuzz/libshared.a
	@echo "  LINK  $@"
	$(Q)clang-14 $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
fuzz:
	@scripts/install-deps.sh all
	@$(MAKE) --no-print-directory $(FUZZERS)
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)

install: all man
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' scripts/install.sh install $(OUT) $(VERSION)
uninstall:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' scripts/install.sh uninstall $(OUT) $(VERSION)
deb:
	@scripts/install-deps.sh package
	@$(MAKE) --no-print-directory BUILD=release deb-built
deb-built: all man
	@scripts/deb.sh $(OUT) $(VERSION)

clean:
	rm -rf build

help:
	@echo 'make                 build programs and jobs (BUILD=release|debug|asan|tsan, V=1 shows commands)'
	@echo 'make demo            count the words of English text (INPUT=DIR: of anything)'
	@echo 'make test            every test that a plain machine can run'
	@echo 'make sim             the scheduler in SEEDS=20000 simulated clusters'
	@echo 'make check           the rules of the house: warnings, format, layers, scripts'
	@echo 'make bench           alternate with the hand-tuned yardsticks, print ratios (docs/performance.md)'
	@echo 'make chaos           every row of the fault table, with real processes'
	@echo 'make test-docker     images and clusters of containers, where a Docker engine runs (MARRAM_FULL=1: 1 GiB)'
	@echo 'make soak            the long tests: full matrices, 1 GiB inputs, 20,000 simulated clusters, random faults'
	@echo 'make fuzz            fuzz every decoder of foreign bytes (FUZZ_SECONDS=60 each)'
	@echo 'make man             manual pages and the completion of bash (make install has them, too)'
	@echo 'make install         into DESTDIR=, PREFIX=/usr/local; make uninstall takes it away'
	@echo 'make deb             Debian packages, in build/release/deb'
	@echo 'make clean           remove build/'

.SECONDARY:
-include $(shell find $(OUT) build/fuzz -name '*.d' 2>/dev/null)
