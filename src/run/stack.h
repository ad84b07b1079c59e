/* stack.h - where the threads of this process are at the moment, for a person who looks for why it
 * hangs.
 *
 *     thread 4711, the main one
 *       try_once+0x5c
 *       program_ask+0x1d3
 *       ...
 *
 * Each thread is interrupted by a signal of its own (SIGRTMIN+4) and notes its frames down; a
 * thread that does not answer within a second is said to. Functions of the program go by the names
 * in its symbol table, static ones too; frames of libraries as backtrace_symbols_fd has them.
 * Nothing is allocated but by opening a folder, for the process may be anywhere. */
#ifndef RUN_STACK_H
#define RUN_STACK_H

/* Once, before anything hangs. The thread that calls it is the main one. */
void stack_prepare(void);

/* Writes the stacks of all threads but the caller's to a file descriptor, the main one's first; of
 * many threads only the first few. */
void stack_print(int fd);

#endif
