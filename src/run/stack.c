#include "run/stack.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FRAMES = 48, THREADS_SHOWN = 8, OWN_FRAMES = 2 /* the handler and what called it */ };

static struct {
	pid_t     main;
	uintptr_t base; /* where the program was loaded */
	sem_t     noted;
	void     *frames[FRAMES]; /* [n] of the thread that was asked last */
	int       n;
} stack;

#if defined(__LP64__)
typedef Elf64_Ehdr stack_header;
typedef Elf64_Shdr stack_section;
typedef Elf64_Sym  stack_symbol;
#else
typedef Elf32_Ehdr stack_header;
typedef Elf32_Shdr stack_section;
typedef Elf32_Sym  stack_symbol;
#endif

struct stack_names { /* the program's own file, and in it the table of symbols */
	const unsigned char *file;
	size_t               size;
	const stack_symbol  *symbols; /* [n]; none where it was stripped */
	size_t               n;
	const char          *text; /* [n_text] */
	size_t               n_text;
};

/* ---- preparing ---- */

static int stack_signal(void)
{
	return SIGRTMIN + 4;
}

static pid_t stack_thread(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void on_stack(int number)
{
	int before = errno;

	(void)number;
	stack.n = backtrace(stack.frames, FRAMES);
	sem_post(&stack.noted);
	errno = before;
}

/* The first object is the program. */
static int stack_take_base(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	stack.base = info->dlpi_addr;
	return 1;
}

void stack_prepare(void)
{
	struct sigaction action = {.sa_handler = on_stack, .sa_flags = SA_RESTART};

	stack.main = stack_thread();
	dl_iterate_phdr(stack_take_base, NULL);
	sem_init(&stack.noted, 0, 0);
	stack.n = backtrace(stack.frames, FRAMES); /* the first call loads a library */
	sigaction(stack_signal(), &action, NULL);
}

/* ---- names ---- */

static int stack_is_within(const struct stack_names *s, size_t offset, size_t n)
{
	return offset <= s->size && n <= s->size - offset;
}

static void stack_find_symbols(struct stack_names *s)
{
	const stack_header  *h = (const void *)s->file;
	const stack_section *sections;

	if (s->size < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
	    h->e_shentsize != sizeof *sections ||
	    !stack_is_within(s, h->e_shoff, h->e_shnum * sizeof *sections))
		return;
	sections = (const void *)(s->file + h->e_shoff);
	for (int i = 0; i < h->e_shnum; i++) {
		const stack_section *at = &sections[i], *text;
		if (at->sh_type != SHT_SYMTAB || at->sh_link >= h->e_shnum ||
		    !stack_is_within(s, at->sh_offset, at->sh_size))
			continue;
		text = &sections[at->sh_link];
		if (text->sh_size == 0 || !stack_is_within(s, text->sh_offset, text->sh_size) ||
		    s->file[text->sh_offset + text->sh_size - 1] != 0)
			continue;
		s->symbols = (const void *)(s->file + at->sh_offset);
		s->n = at->sh_size / sizeof *s->symbols;
		s->text = (const char *)s->file + text->sh_offset;
		s->n_text = text->sh_size;
	}
}

static struct stack_names stack_open_names(void)
{
	struct stack_names s = {0};
	struct stat        st;
	int                fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void              *file = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0)
		file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (file == MAP_FAILED)
		return s;
	s.file = file;
	s.size = (size_t)st.st_size;
	stack_find_symbols(&s);
	return s;
}

static const stack_symbol *stack_symbol_of(const struct stack_names *s, uintptr_t at)
{
	for (size_t i = 0; i < s->n; i++) {
		const stack_symbol *x = &s->symbols[i];
		if ((x->st_info & 0xf) == STT_FUNC && x->st_shndx != SHN_UNDEF &&
		    x->st_name < s->n_text && at >= x->st_value && at - x->st_value < x->st_size)
			return x;
	}
	return NULL;
}

/* ---- printing ---- */

static void stack_print_frame(int fd, const struct stack_names *s, void *frame)
{
	uintptr_t           at = (uintptr_t)frame - stack.base;
	const stack_symbol *x = stack_symbol_of(s, at);

	if (x) {
		dprintf(fd, "    %s+0x%zx\n", s->text + x->st_name, (size_t)(at - x->st_value));
		return;
	}
	dprintf(fd, "    ");
	backtrace_symbols_fd(&frame, 1, fd);
}

static void stack_print_thread(int fd, const struct stack_names *s, pid_t thread)
{
	struct timespec until;
	int             asked;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	asked = syscall(SYS_tgkill, getpid(), thread, stack_signal()) == 0;
	dprintf(fd, "  thread %d%s\n", (int)thread, thread == stack.main ? ", the main one" : "");
	while (asked && sem_timedwait(&stack.noted, &until) != 0)
		if (errno != EINTR)
			asked = 0;
	if (!asked) {
		dprintf(fd, "    does not answer: it waits in the kernel\n");
		return;
	}
	for (int i = OWN_FRAMES; i < stack.n; i++)
		stack_print_frame(fd, s, stack.frames[i]);
}

void stack_print(int fd)
{
	struct stack_names s = stack_open_names();
	struct dirent     *entry;
	DIR               *threads;
	int                shown = 1;

	stack_print_thread(fd, &s, stack.main);
	threads = opendir("/proc/self/task");
	while (threads && (entry = readdir(threads)) && shown < THREADS_SHOWN) {
		pid_t thread = (pid_t)atoi(entry->d_name);
		if (thread == 0 || thread == stack.main || thread == stack_thread())
			continue;
		stack_print_thread(fd, &s, thread);
		shown++;
	}
	if (threads)
		closedir(threads);
}
