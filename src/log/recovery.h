/*
 * recovery: reads the log that a former process left behind. Part of log_open; nobody else includes
 * this.
 */
#ifndef LOG_RECOVERY_H
#define LOG_RECOVERY_H

#include "log/log.h"
#include "log/segment.h"

/* What was found; the lists own their segments. */
struct recovered {
	struct segment_list used;    /* in order of their sequence numbers */
	struct segment_list empty;   /* zeros */
	struct segment_list discard; /* not fit for use: remove the files */
	uint64_t number_last;        /* highest file number; 0: none */
	uint64_t sequence_last;      /* highest sequence number; 0: none */
};

/*
 * Reads and replays, as log_open says; changes nothing on disk, except that the batches which the
 * former process may not have synced are written again and synced. `found` is to be given to
 * recovery_fini whatever the result.
 */
int recovery_run(const struct log_options *options, uint64_t after_lsn, log_replay_fn replay,
	void *context, struct log_recovery *result, struct recovered *found, char *error,
	size_t error_size);
void recovery_fini(struct recovered *found);

#endif
