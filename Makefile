# Marram. `make help` lists the targets. Nothing is configured; everything is built under build/$(BUILD)/.
BUILD  ?= release
OUT    := build/$(BUILD)
CC     := $(if $(filter tsan,$(BUILD)),clang-14,gcc)
CXX    ?= g++
Q      := $(if $(V),,@)

OPT_release := -O3 -g
OPT_debug   := -O1 -g3
OPT_asan    := -O1 -g3 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
OPT_tsan    := -O1 -g3 -fno-omit-frame-pointer -fsanitize=thread
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-missing-field-initializers \
          $(if $(WERROR),-Werror)
PKGS   := libzmq libprotobuf-c libsodium jansson
JOBFLAGS := -std=gnu17 $(OPT_$(BUILD)) $(WARN) -fvisibility=hidden -Imrlib/include -MMD -MP -fPIC
CPPFLAGS_ := -D_GNU_SOURCE -I. -Imrlib -Imrlib/include -I$(OUT) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
override CFLAGS += -std=gnu17 $(OPT_$(BUILD)) $(WARN) -fopenmp -fvisibility=hidden -MMD -MP
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -ldl -lpthread

sources = $(sort $(shell find $(1) -name '*.c'))
objects = $(patsubst %.c,$(OUT)/%.o,$(call sources,$(1)))
LIB    := $(OUT)/libmr.a
WIRE   := $(OUT)/wire/mr.pb-c.c
BINS   := $(OUT)/marram $(OUT)/marram-executor
JOBS   := $(patsubst jobs/%.c,$(OUT)/jobs/%.so,$(wildcard jobs/*.c))
TESTS  := $(patsubst %.c,$(OUT)/%,$(wildcard tests/unit/test_*.c tests/sim/test_*.c))
TESTJOBS := $(patsubst tests/jobs/%.c,$(OUT)/tests/jobs/%.so,$(wildcard tests/jobs/*.c)) \
            $(patsubst tests/jobs/%.cc,$(OUT)/tests/jobs/%.so,$(wildcard tests/jobs/*.cc))
AGENT  := $(call objects,worker/agent)
EXEC   := $(call objects,worker/executor)
COORD  := $(call objects,coordinator)
CLI    := $(call objects,cli)
HOST   := $(filter-out %/main.o,$(AGENT) $(EXEC) $(COORD) $(CLI))
TESTLIB := $(call objects,tests/lib)

.PHONY: all FORCE
all: $(BINS) $(JOBS)

$(OUT)/marram: $(CLI) $(COORD) $(AGENT) $(LIB)
$(OUT)/marram-executor: $(EXEC) $(LIB)
$(TESTS): $(OUT)/%: $(OUT)/%.o $(TESTLIB) $(HOST) $(LIB)
$(TESTS): override LDLIBS += -lcmocka
$(BINS) $(TESTS):
	@echo "  LINK  $@"; mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LDLIBS)
$(LIB): $(call objects,mrlib) $(WIRE:.c=.o)
	@echo "  AR    $@"; rm -f $@
	$(Q)$(AR) rcs $@ $^
$(OUT)/%.o: %.c $(OUT)/.flags | $(WIRE)
	@echo "  CC    $<"; mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_) $(CFLAGS) -c -o $@ $<
$(OUT)/wire/mr.pb-c.o: $(WIRE)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS_) $(CFLAGS) -w -c -o $@ $<
$(OUT)/wire/mr.pb-c.c: mrlib/wire/mr.proto
	@echo "  PROTO $<"; mkdir -p $(@D)
	$(Q)protoc-c -I$(<D) --c_out=$(@D) $(<F)
$(OUT)/jobs/%.so: jobs/%.c $(OUT)/.flags
	@echo "  JOB   $@"; mkdir -p $(@D)
	$(Q)$(CC) $(JOBFLAGS) -shared -o $@ $< $(LIBS_$*)
$(OUT)/tests/jobs/%.so: tests/jobs/%.c $(OUT)/.flags
	@echo "  JOB   $@"; mkdir -p $(@D)
	$(Q)$(CC) $(JOBFLAGS) -shared -o $@ $<
LIBS_grep := -lpcre2-8
$(OUT)/.flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS)' >$@
FORCE:

.SECONDARY:
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
