/*
 * fault: the end of the process when durability is lost: a log or tree that cannot be written.
 * Replies that depended on it were not sent; a restart recovers what reached the disk.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

/* Says the line and aborts. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A simulation's way out: called in place of the abort, and must not return. NULL: abort. */
void fault_set_hook(void (*hook)(void));

#endif
