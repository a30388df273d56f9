/*
 * test_logline: where the server's lines go, and that they find a file that was moved away from
 * under them.
 */
#include "base/logline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS      4
#define THREAD_LINES 500
#define MOVES        100

struct directory {
	char path[64];
	char log[80], moved[80];
	char text[4096];
};

static int set_up(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));
	strcpy(directory->path, "/tmp/test_logline.XXXXXX");
	if (mkdtemp(directory->path) == NULL)
		return -1;
	snprintf(directory->log, sizeof(directory->log), "%s/log", directory->path);
	snprintf(directory->moved, sizeof(directory->moved), "%s/moved", directory->path);
	*state = directory;
	return logline_open(directory->log);
}

static int tear_down(void **state)
{
	struct directory *directory = *state;
	unlink(directory->log);
	unlink(directory->moved);
	rmdir(directory->path);
	free(directory);
	return 0;
}

static const char *text_of(struct directory *directory, const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t size = fd < 0 ? 0 : read(fd, directory->text, sizeof(directory->text) - 1);
	if (fd >= 0)
		close(fd);
	directory->text[size > 0 ? size : 0] = '\0';
	return directory->text;
}

static bool has(struct directory *directory, const char *path, const char *words)
{
	return strstr(text_of(directory, path), words) != NULL;
}

static void writes_a_line_an_event(void **state)
{
	struct directory *directory = *state;
	char expected[32];
	logline(LOGLINE_NOTICE, "%s and %d", "words", 7);
	logline(LOGLINE_VERBOSE, "too small a thing");
	const char *text = text_of(directory, directory->log);
	snprintf(expected, sizeof(expected), "%d:M ", (int)getpid());
	assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
	assert_non_null(strstr(text, " * words and 7\n"));
	assert_null(strstr(text, "too small"));
}

static void a_line_longer_than_the_longest_is_cut(void **state)
{
	struct directory *directory = *state;
	logline(LOGLINE_WARNING, "%08000d", 7);
	const char *text = text_of(directory, directory->log);
	assert_int_equal(strlen(text), 4095);
	assert_int_equal(text[4094], '\n');
}

static void the_line_behind_a_move_starts_a_new_file(void **state)
{
	struct directory *directory = *state;
	logline(LOGLINE_NOTICE, "before");
	assert_int_equal(rename(directory->log, directory->moved), 0);
	logline(LOGLINE_NOTICE, "behind");
	assert_true(has(directory, directory->moved, "before"));
	assert_false(has(directory, directory->moved, "behind"));
	assert_true(has(directory, directory->log, "behind"));
	/* A file that somebody else has put in its place is written to, not replaced. */
	assert_int_equal(rename(directory->log, directory->moved), 0);
	int fd = open(directory->log, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "theirs\n", 7), 7);
	close(fd);
	logline(LOGLINE_NOTICE, "ours");
	assert_true(has(directory, directory->log, "theirs\n"));
	assert_true(has(directory, directory->log, "ours"));
}

static void a_removed_file_is_made_again(void **state)
{
	struct directory *directory = *state;
	logline(LOGLINE_NOTICE, "before");
	unlink(directory->log);
	logline(LOGLINE_NOTICE, "behind");
	assert_true(has(directory, directory->log, "behind"));
}

static void lines_go_on_to_the_old_file_while_no_new_one_can_be_made(void **state)
{
	struct directory *directory = *state;
	char elsewhere[128];
	snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", directory->path);
	assert_int_equal(rename(directory->path, elsewhere), 0);
	logline(LOGLINE_NOTICE, "into the old one");
	assert_int_equal(logline_reopen(), -ENOENT);
	assert_int_equal(rename(elsewhere, directory->path), 0);
	assert_true(has(directory, directory->log, "into the old one"));
}

static void can_be_asked_to_open_it_anew(void **state)
{
	struct directory *directory = *state;
	assert_int_equal(rename(directory->log, directory->moved), 0);
	assert_int_equal(logline_reopen(), 0);
	assert_int_equal(access(directory->log, F_OK), 0);
}

static void lets_a_line_pass_once_in_a_while(void **state)
{
	struct logline_rate rate = { 0 };
	uint64_t withheld = 7;
	(void)state;
	assert_true(logline_may(&rate, 1000000, 10000, &withheld));
	assert_int_equal(withheld, 0);
	for (int i = 0; i < 5; i++)
		assert_false(logline_may(&rate, 1000000 + i * 2000, 10000, &withheld));
	assert_false(logline_may(&rate, 1009999, 10000, &withheld));
	assert_true(logline_may(&rate, 1010000, 10000, &withheld));
	assert_int_equal(withheld, 6);
	/* The clock was set back by a day. */
	assert_true(logline_may(&rate, 1010000 - 86400000, 10000, &withheld));
	assert_false(logline_may(&rate, 1010001 - 86400000, 10000, &withheld));
}

static void *write_lines(void *context)
{
	for (int i = 0; i < THREAD_LINES; i++)
		logline(LOGLINE_NOTICE, "a line of a thread");
	return context;
}

/* Counts the lines of a file that has no others, and removes it. */
static int take_lines(const char *path)
{
	char line[256];
	int count = 0;
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		assert_non_null(strstr(line, " * a line of a thread\n"));
		count++;
	}
	if (file)
		fclose(file);
	unlink(path);
	return count;
}

static void moving_it_under_threads_loses_no_line(void **state)
{
	struct directory *directory = *state;
	pthread_t threads[THREADS];
	char moved[MOVES][128];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, write_lines, NULL);
	for (int i = 0; i < MOVES; i++) {
		snprintf(moved[i], sizeof(moved[i]), "%s.%d", directory->moved, i);
		if (rename(directory->log, moved[i]) == 0 && i % 2)
			logline_reopen();
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	int total = take_lines(directory->log);
	for (int i = 0; i < MOVES; i++)
		total += take_lines(moved[i]);
	assert_int_equal(total, THREADS * THREAD_LINES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(writes_a_line_an_event),
		TEST(a_line_longer_than_the_longest_is_cut),
		TEST(the_line_behind_a_move_starts_a_new_file),
		TEST(a_removed_file_is_made_again),
		TEST(lines_go_on_to_the_old_file_while_no_new_one_can_be_made),
		TEST(can_be_asked_to_open_it_anew),
		cmocka_unit_test(lets_a_line_pass_once_in_a_while),
		TEST(moving_it_under_threads_loses_no_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
