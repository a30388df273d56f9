/*
 * commands: the handlers of CACHE.*; the command table says what each is for and takes.
 */
#ifndef CACHE_COMMANDS_H
#define CACHE_COMMANDS_H

#include "request/turn.h"

/* entry_commands.c */
void cache_set_command(struct turn *turn);
void cache_get_command(struct turn *turn);
void cache_mget_command(struct turn *turn);
void cache_del_command(struct turn *turn);
void cache_info_command(struct turn *turn);
void cache_invalidate_command(struct turn *turn);

/* swr_commands.c */
void cache_swr_command(struct turn *turn);
void cache_fill_command(struct turn *turn);
void cache_fail_command(struct turn *turn);
void cache_absent_command(struct turn *turn);
void cache_renew_command(struct turn *turn);

/* survey_commands.c */
void cache_stats_command(struct turn *turn);
void cache_scan_command(struct turn *turn);

#endif
