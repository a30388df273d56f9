/*
 * internal: what the files of this folder share of struct config: the texts, and reading and
 * writing one parameter whatever its kind.
 */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config/config.h"
#include "config/parameters.h"

/* Words of any one setting, with one more to notice that there are too many. */
#define CONFIG_WORDS_MAX (PARAMETER_WORDS_MAX + 1)

/* One setting as a file or the command line gives it: allowed at the start whatever the row says.
 * 0; or -EINVAL and in `error` the name and what is wrong. */
int config_put(struct config *config, struct slice name, const struct slice *words, size_t count,
	char *error, size_t error_size);
/* Is that a parameter, of this server or of Redis, whose value may be any text? */
bool config_takes_text(struct slice name);
/* Appends the value. Texts are appended as they are, without quotes; lines quoted, one below the
 * other, without what is hidden. */
void config_show(struct config *config, const struct parameter *parameter,
	enum parameter_style style, struct buffer *out);
/* Is `words` what the parameter has now, however it is written? */
bool config_equals(struct config *config, const struct parameter *parameter,
	const struct slice *words, size_t count);
/* Whether the parameter may have this value beside those that the others have. 0; or -EINVAL and in
 * `error` what does not agree. */
int config_agree(struct config *config, const struct parameter *parameter, struct slice value,
	char *error, size_t error_size);
/* The same of all as they are, once everything has been put. */
int config_agree_all(struct config *config, char *error, size_t error_size);

#endif
