/*
 * commands: the handlers of SESSION.*; the command table says what each is for and takes.
 */
#ifndef SESSION_COMMANDS_H
#define SESSION_COMMANDS_H

#include "request/turn.h"

/* session_commands.c: one session */
void session_create(struct turn *turn);
void session_set(struct turn *turn);
void session_get(struct turn *turn);
void session_update(struct turn *turn);
void session_field(struct turn *turn);
void session_touch_command(struct turn *turn);
void session_ttl(struct turn *turn);
void session_exists(struct turn *turn);
void session_del(struct turn *turn);
void session_rotate_command(struct turn *turn);

/* survey_commands.c: many */
void session_list(struct turn *turn);
void session_deluser(struct turn *turn);
void session_scan(struct turn *turn);
void session_count_command(struct turn *turn);

/* lease_commands.c */
void session_lease(struct turn *turn);
void session_commit(struct turn *turn);
void session_release(struct turn *turn);

#endif
