/* error.h - how a function says that it could not do its work.
 *
 * Two kinds, never mixed. An error of operation (a bad file, a full disk, no memory) is returned as
 * a status and leaves one message behind; a programmer's error is an assert().
 *
 *     int load(const char *path, struct thing **out)
 *     {
 *             TRY(file_read(path, &bytes));              passes the status up, the message stays
 *             if (bytes.n < 8)
 *                     return error_set(ERR_INPUT, "%s: %zu bytes is too short; is it cut off?",
 *                                      path, bytes.n);
 *
 * The message names the file, line, key or tensor, and what to do next. It belongs to the thread
 * that failed; parallel loops record a status per item and report the first one in item order.
 * Nothing below src/cli prints or exits: the command line prints error_message() and exits with
 * error_exit_status(status).
 *
 * Callers that must tell failures apart ask the status, and never the words:
 *
 *     ERR_MEMORY                          memory is short: give up, nothing is known about the file
 *     ERR_INPUT, error_cause() != 0       the system refused: the file may be whole
 *     ERR_INPUT, error_cause() == 0       the content is wrong */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum {
	OK = 0,
	ERR_FAILED = 1, /* the job itself failed: it diverged, a library misbehaved */
	/* the user can fix it: config, data, model folder, command line, permissions, disk */
	ERR_INPUT = 2,
	/* no error: a signal asked for an end and the work was given up (stop.h), or has been
	 * saved */
	STOPPED = 3,
	/* memory is short; the user can fix that, too, but nothing is wrong with any file */
	ERR_MEMORY = 4,
};

#if defined(__GNUC__)
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#else
#define PRINTF_LIKE(f, a)
#endif

/* Replaces the message of this thread; returns `code`, so that it can stand in a return
 * statement. */
int error_set(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/* ERR_MEMORY, with the message "out of memory: WHAT; " and what helps. Allocations of memory.h call
 * it themselves; it is for libraries that return NULL. */
int error_memory(const char *what, ...) PRINTF_LIKE(1, 2);

/* For what the system refused: error_cause() is then `cause`, an errno. ERR_MEMORY for ENOMEM,
 * ERR_INPUT for any other. */
int error_because(int cause, const char *format, ...) PRINTF_LIKE(2, 3);

/* "PATH: cannot DOING: what errno says", because of errno; error_memory() where that is ENOMEM. */
int error_system(const char *path, const char *doing);

/* The errno behind the message of this thread (ENOMEM for ERR_MEMORY); 0 when nothing was
 * refused. */
int error_cause(void);

/* The exit status of the program for a status: 2 for what the user can fix, memory included. */
int error_exit_status(int status);

/* Puts "TEXT: " in front of the message of this thread and returns its code. For callers that know
 * more (the file that a parser was reading, the key that a value belongs to). */
int error_context(const char *format, ...) PRINTF_LIKE(1, 2);

/* ERR_INPUT: no WHAT "NAME"; there are: a, b, c. name_at(i) is NULL behind the last. */
int error_unknown(const char *what, const char *name, const char *(*name_at)(int i));

/* Borrowed until the next error of this thread; "" before the first one. */
const char *error_message(void);

#define TRY(call) \
	do { \
		int try_status_ = (call); \
		if (try_status_ != OK) \
			return try_status_; \
	} while (0)

#endif
