/*
 * fault: the end of the process, for what must not go on: durability is lost (a log or tree that
 * cannot be written), or what was stored is damaged. Replies that depended on it were not sent.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

/* Durability is lost: a restart recovers what reached the disk. Says the line and aborts. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* What was stored is damaged, and a restart finds it so again. Says the line and aborts, in a
 * simulation too: nothing there damages what was stored. */
void fault_of_data(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A simulation's way out of lost durability: called in place of the abort, and must not return.
 * NULL: abort. */
void fault_set_hook(void (*hook)(void));

#endif
