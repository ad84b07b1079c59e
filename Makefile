# make            build ./hone (and install missing Debian packages first)
# make demo       at most 4 minutes: make a problem set, warm-start a small model, train it by RL, write runs/demo/report.html
# make test       all tests, or one: make test T=objective
# make check      all tests under ASan and UBSan (gcc), ranks under mpirun and on "hosts" (network namespaces, as root), warnings as errors with
#                 gcc and clang, the fuzz targets on their corpora, which room includes which, names that are defined twice, functions of seven
#                 parameters, lines wider than 100 columns, and the format
# make fuzz       T=json RUNS=n: n executions of one fuzz target (tests/fuzz) under ASan and UBSan; without T all of them, one after another
# make interop    the tests against PyTorch and its family (skipped, with the reason, where PyPI is out of reach)
# make browser    the pages that hone writes, driven in headless Chromium (skipped, with the reason, where there is none)
# make cross      small runs of every part by a program for aarch64, under an emulator, against the bits of all others (skipped, with the
#                 reason, where cross compiler, emulator or libraries are not to be had)
# make bench      speed: what this machine can do, and how near to it products, decode, training come
# make install    PREFIX=/usr/local: the program, man pages, completion for bash and zsh, docs, configs; libhone.a, hone.h, hone.pc
# make deb        build/hone_VERSION_ARCH.deb from the portable build
# make docs       regenerate docs/options.md from the schema, docs/metrics.md from the table of metrics,
#                 docs/from-trl.md and docs/from-verl.md from the table of foreign names
# make deps       install what is missing from the list in scripts/deps
# make format     clang-format over the tree
# make clean
#
# PORTABLE=1 builds a program for every x86-64, in a folder of its own; it gives the same bits.
# A short line for each file that is compiled; V=1 shows the commands.
# BUILD=release|debug|asan|tsan chooses the kind; each keeps its files in build/KIND-CC.  CC=gcc|clang.  WERROR=-Werror.
# tsan wants clang and libomp's archer, or each wait of OpenMP looks like a race:
#   OMP_TOOL_LIBRARIES=/usr/lib/llvm-14/lib/libarcher.so TSAN_OPTIONS=ignore_noninstrumented_modules=1 make BUILD=tsan CC=clang test

BUILD  ?= release
CC      = gcc
PREFIX ?= /usr/local
T      ?= *
RUNS   ?= 100000

# As many jobs as CPUs, unless -j says otherwise. What a job says comes in one piece, but for goals that show what they do while they do it.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory $(if $(filter bench browser check cross demo fuzz interop test,$(MAKECMDGOALS)),,--output-sync=target)

# $(call say,CC,$<) before a command shows that line instead of it.
say = $(if $(filter 1,$(V)),,@$(if $(findstring s,$(firstword -$(MAKEFLAGS))),,echo "$(1) $(2)";))

# Everything but help, clean, deps and format needs the packages; the check costs a few milliseconds when they are there.
ifeq ($(filter help clean deps format,$(MAKECMDGOALS)),)
DEPS := $(shell scripts/deps >&2 && echo there)
ifneq ($(DEPS),there)
$(error packages are missing: see the line above)
endif
endif

# PORTABLE=1: for any x86-64, or what the compiler takes for the least of another kind of CPU. Kernels still are chosen when the program runs.
X86   := $(shell $(CC) -dM -E -x c /dev/null 2>/dev/null | grep -w __x86_64__)
MARCH  = $(if $(filter 1,$(PORTABLE)),$(if $(X86),-march=x86-64),-march=native)

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wcast-qual -Wwrite-strings $(WERROR)
# No flag that reorders sums or takes numbers for finite (isfinite() would vanish). -ffp-contract=off: an fma stands only where it is written.
# a small stack (ulimit -s) must do; sanitizers need larger frames
FLAGS.release = -Wframe-larger-than=131072 -O3 $(MARCH) -fno-math-errno -fno-trapping-math -g
FLAGS.debug   = -O0 $(MARCH) -g
FLAGS.asan    = -O1 $(MARCH) -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS.tsan    = -O1 $(MARCH) -g -fsanitize=thread
FLAGS.fuzz    = -O1 $(MARCH) -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
$(if $(FLAGS.$(BUILD)),,$(error unknown BUILD=$(BUILD)))

CFLAGS = -std=c11 -D_GNU_SOURCE -ffp-contract=off -fopenmp -MMD -MP -Isrc -Itests $(WARN) $(FLAGS.$(BUILD)) $(EXTRA)
LDLIBS = $(LDFLAGS) -ldl -lyaml -ljansson -lpcre2-8 -lutf8proc -lprotobuf-c -lz -lmpfr -lgmp -lm

OUT   = build/$(BUILD)-$(notdir $(CC))$(if $(filter 1,$(PORTABLE)),-portable)
SRCS  = $(filter-out src/cli/hone.c src/base/ranks_mpi.c,$(wildcard src/*/*.c))
OBJS  = $(SRCS:%.c=$(OUT)/%.o)
TESTS = $(patsubst tests/%.c,$(OUT)/%,$(wildcard tests/test_$(T).c))
TOOLS = $(patsubst tests/%.c,$(OUT)/%,$(wildcard tests/tool_*.c))
FUZZERS = $(patsubst tests/fuzz/%.c,$(OUT)/%,$(wildcard tests/fuzz/fuzz_$(T).c))
FORMATTED = $(filter-out %.pb-c.c %.pb-c.h,$(wildcard src/*/*.[ch] tests/*.[ch] tests/*/*.[ch]))

# A module for jobs of several machines, where MPI is there to build it with; the program opens it only under a launcher (src/base/ranks.h).
MPICC := $(shell command -v mpicc 2>/dev/null)
MODULE = $(if $(MPICC),$(OUT)/hone-mpi.so)

all: $(OUT)/hone $(MODULE)
	@ln -sfn $< hone

$(OUT)/hone-mpi.so: src/base/ranks_mpi.c src/base/ranks_link.h src/base/ranks.h src/base/memory.h
	@mkdir -p $(@D)
	$(call say,CC,$<)OMPI_CC=$(CC) MPICH_CC=$(CC) $(MPICC) -std=c11 -D_GNU_SOURCE $(WARN) -O2 -g -fPIC -shared -Isrc $< -o $@

$(OUT)/libhone.a: $(OBJS)
	$(call say,AR,$(@F))rm -f $@ && ar rcs $@ $^
# The library for programs that embed hone (src/api/hone.h): one object whose only names are those of the header.
$(OUT)/embed/libhone.a: $(filter-out $(OUT)/src/cli/%,$(OBJS))
	@mkdir -p $(@D)
	$(call say,LD,embed/$(@F))rm -f $@ && ld -r $^ -o $(@D)/hone.o && objcopy --wildcard --keep-global-symbol='hone_*' $(@D)/hone.o \
		&& ar rcs $@ $(@D)/hone.o
$(OUT)/example_%: examples/%.c $(OUT)/embed/libhone.a
	$(call say,CC,$<)$(CC) -std=c11 $(WARN) -O1 -g $(filter -fsanitize=%,$(CFLAGS)) -Isrc/api $^ -fopenmp $(LDLIBS) -o $@
$(OUT)/test_embed: $(OUT)/example_embed
$(OUT)/test_embed: EXTRA += -DEXAMPLE='"$(OUT)/example_embed"' -DLIBRARY='"$(abspath $(OUT))/embed/libhone.a"'
$(OUT)/hone: $(OUT)/src/cli/hone.o $(OUT)/libhone.a
	$(call say,LD,$(@F))$(CC) $(CFLAGS) $^ $(LDLIBS) -o $@
$(OUT)/test_%: tests/test_%.c $(OUT)/libhone.a
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS) -DHONE='"$(OUT)/hone"' $< $(filter %.a,$^) $(LDLIBS) -lcmocka -o $@
# clang takes many minutes to instrument the unrolled kernels for the fuzzers; make check has them under gcc's sanitizers
$(OUT)/src/math/matmul_avx%.o $(OUT)/src/math/tile_avx%.o: EXTRA += $(if $(filter fuzz,$(BUILD)),-fno-sanitize=all)
# at -O1 the sanitizers' checks of products take most of make check
$(OUT)/src/math/matmul%.o $(OUT)/src/math/tile%.o: EXTRA += $(if $(filter asan,$(BUILD)),-O2)
# kernels for instructions that not every CPU has: compiled for them whatever the rest is compiled for, chosen when the program runs
$(OUT)/src/math/tile_avx2.o: EXTRA += $(if $(X86),-mavx2 -mfma)
$(OUT)/src/math/tile_avx512.o: EXTRA += $(if $(X86),-mavx512f -mfma)
$(OUT)/src/math/matmul_avx2.o: EXTRA += $(if $(X86),-mavx2 -mfma)
$(OUT)/src/math/matmul_avx2_bf16.o: EXTRA += $(if $(X86),-mavx2 -mfma)
$(OUT)/src/math/matmul_avx512.o: EXTRA += $(if $(X86),-mavx512f -mfma)
$(OUT)/src/math/matmul_avx512_bf16.o: EXTRA += $(if $(X86),-mavx512f -mfma)
$(OUT)/src/math/matmul_avx2_chains.o: EXTRA += $(if $(X86),-mavx2 -mfma)
$(OUT)/src/math/matmul_avx512_chains.o: EXTRA += $(if $(X86),-mavx512f -mfma)
$(OUT)/src/math/matmul_pairs.o: EXTRA += $(if $(X86),-mavx512f -mavx512bf16)
$(OUT)/src/math/matmul_amx.o: EXTRA += $(if $(X86),-mavx512f -mamx-tile -mamx-bf16)
$(OUT)/src/math/matmul_avx512_dot.o: EXTRA += $(if $(X86),-mavx512f -mavx512bf16 -mfma)
$(OUT)/shim_%.so: tests/shim_%.c tests/disk_record.h
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -std=c11 -D_GNU_SOURCE $(WARN) -O1 -g -fPIC -shared $< -ldl -o $@
$(OUT)/test_durable: $(OUT)/shim_disk.so
$(OUT)/test_durable: EXTRA += -DSHIM='"$(OUT)/shim_disk.so"'
# the style and script of pages are files of their own, which become part of the program
$(OUT)/src/run/report_page.o: src/run/report.css src/run/report.js
$(OUT)/src/rl/explain_page.o: src/rl/explain.css src/rl/explain.js
# generated: not ours to mend
$(OUT)/src/run/events.pb-c.o $(OUT)/src/run/events.o: EXTRA += -Wno-cast-qual
$(OUT)/tool_%: tests/tool_%.c $(OUT)/libhone.a
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS) $(filter %.c %.a,$^) $(LDLIBS) -o $@
$(OUT)/fuzz_%: tests/fuzz/fuzz_%.c $(OUT)/libhone.a
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS) -fsanitize=fuzzer $(filter %.c %.a,$^) $(LDLIBS) -o $@
$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS) -c $< -o $@
# The commit that hone --version says; another one compiles one file and links the program again.
COMMIT := $(shell [ -e .git ] && git --no-optional-locks describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)
$(OUT)/commit: always
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@
$(OUT)/src/cli/hone.o: $(OUT)/commit
$(OUT)/src/cli/hone.o: EXTRA += -DCOMMIT='"$(COMMIT)"'

test: all $(TESTS)
	@scripts/run-tests $(OUT) $(TESTS)

demo: all
	@scripts/demo
bench: all
	./hone bench

# The four builds each have a folder of their own; what follows them reads the sources and objects alone. tests/data/bits.tsv holds
# all of them, and that of `make test`, to the same bits: gcc -O1 and -O3, clang, PORTABLE.
check:
	@scripts/deps --check >&2
	$(MAKE) BUILD=asan WERROR=-Werror test
	$(MAKE) CC=clang WERROR=-Werror T=bits test
	$(MAKE) PORTABLE=1 WERROR=-Werror T=bits test
	HONE_MPI=1 $(MAKE) CC=clang test T=ranks_job
	HONE_MPI=1 $(MAKE) CC=clang test T=watchdog
	@scripts/check-hosts build/release-clang
	$(MAKE) BUILD=fuzz CC=clang WERROR=-Werror fuzzers
	@scripts/fuzz --check build/fuzz-clang
	@scripts/check-libm build/asan-gcc
	@scripts/check-floors
	@scripts/check-names
	@scripts/check-parameters
	@scripts/check-columns
	@clang-format --dry-run -Werror $(FORMATTED) && echo "format: nothing to change"

fuzzers: $(FUZZERS)
fuzz:
	@scripts/deps --check >&2
	$(MAKE) BUILD=fuzz CC=clang fuzzers
	@scripts/fuzz --runs $(RUNS) build/fuzz-clang $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_$(T).c))

interop: all $(TOOLS)
	@scripts/interop $(OUT)

browser: all
	@scripts/browser $(OUT)/hone

cross: $(OUT)/test_bits
	+@scripts/cross $(OUT)

install: all $(OUT)/embed/libhone.a
	install -D -m 755 $(OUT)/hone $(DESTDIR)$(PREFIX)/bin/hone
	scripts/install-pages $(OUT)/hone $(DESTDIR)$(PREFIX)/share
	install -D -m 644 src/api/hone.h $(DESTDIR)$(PREFIX)/include/hone.h
	install -D -m 644 $(OUT)/embed/libhone.a $(DESTDIR)$(PREFIX)/lib/libhone.a
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	@scripts/pkg-config $(PREFIX) '-fopenmp $(LDLIBS)' >$(DESTDIR)$(PREFIX)/lib/pkgconfig/hone.pc
	$(if $(MODULE),install -D -m 644 $(MODULE) $(DESTDIR)$(PREFIX)/lib/hone/hone-mpi.so)

deb:
	+@scripts/deb

docs: all
	./hone train --help-markdown > docs/options.md
	./hone train --help-metrics > docs/metrics.md
	./hone train --help-from TRL > docs/from-trl.md
	./hone train --help-from verl > docs/from-verl.md

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile
deps:
	@scripts/deps --install
clean:
	rm -rf build hone
format:
	clang-format -i $(FORMATTED)

.PHONY: always all test help deps clean format demo browser check cross fuzz fuzzers interop bench install deb docs
.SECONDARY:
-include $(OBJS:.o=.d) $(OUT)/src/cli/hone.d $(TESTS:=.d) $(TOOLS:=.d) $(FUZZERS:=.d)
