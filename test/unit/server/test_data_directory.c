/*
 * The data directory: made when absent, locked while in use, and every reason why it cannot be had
 * said with its path.
 */
#include "server/data_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

struct fixture {
	char parent[64];
	char path[96];
	char error[512];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->parent, "/tmp/holdfast-directory-XXXXXX");
	assert_non_null(mkdtemp(f->parent));
	snprintf(f->path, sizeof(f->path), "%s/data", f->parent);
	*state = f;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	nftw(f->parent, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static int open_directory(struct fixture *f)
{
	f->error[0] = '\0';
	int result = data_directory_open(f->path, f->error, sizeof(f->error));
	if (result < 0) {
		assert_non_null(strstr(f->error, f->path));
		assert_null(strchr(f->error, '\n'));
	}
	return result;
}

static mode_t mode_of(const struct fixture *f, const char *name)
{
	char path[128];
	struct stat status;
	snprintf(path, sizeof(path), "%s%s", f->path, name);
	assert_int_equal(stat(path, &status), 0);
	return status.st_mode;
}

static void makes_what_is_absent_for_nobody_else_to_read(void **state)
{
	struct fixture *f = *state;
	int lock = open_directory(f);
	assert_true(lock >= 0);
	assert_int_equal(mode_of(f, ""), S_IFDIR | 0700);
	assert_int_equal(mode_of(f, "/log"), S_IFDIR | 0700);
	assert_int_equal(mode_of(f, "/lock"), S_IFREG | 0600);
	assert_true(fcntl(lock, F_GETFD) & FD_CLOEXEC);
	close(lock);
}

static void opens_it_again_after_it_was_given_back(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++) {
		int lock = open_directory(f);
		assert_true(lock >= 0);
		close(lock);
	}
}

static void a_directory_in_use_is_refused_naming_the_process(void **state)
{
	struct fixture *f = *state;
	char process[32];
	int lock = open_directory(f);
	assert_true(lock >= 0);
	assert_int_equal(open_directory(f), -EBUSY);
	snprintf(process, sizeof(process), "process %d", (int)getpid());
	assert_non_null(strstr(f->error, process));
	assert_int_equal(open_directory(f), -EBUSY); /* the first attempt took nothing away */
	close(lock);
	lock = open_directory(f);
	assert_true(lock >= 0);
	close(lock);
}

static void a_process_that_dies_gives_it_back(void **state)
{
	struct fixture *f = *state;
	int ready[2], status;
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		if (data_directory_open(f->path, f->error, sizeof(f->error)) < 0)
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(open_directory(f), -EBUSY);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	int lock = open_directory(f);
	assert_true(lock >= 0);
	close(lock);
	close(ready[0]);
	close(ready[1]);
}

static void a_file_in_the_way_is_named_and_stays(void **state)
{
	struct fixture *f = *state;
	close(open(f->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_directory(f), -EEXIST);
	assert_non_null(strstr(f->error, "in the way"));
	assert_int_equal(mode_of(f, ""), S_IFREG | 0600);
}

static void a_file_in_the_logs_way_is_named(void **state)
{
	struct fixture *f = *state;
	char path[128];
	assert_int_equal(mkdir(f->path, 0700), 0);
	snprintf(path, sizeof(path), "%s/log", f->path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_directory(f), -EEXIST);
	assert_non_null(strstr(f->error, path));
}

static void a_missing_parent_is_not_made(void **state)
{
	struct fixture *f = *state;
	struct stat status;
	snprintf(f->path, sizeof(f->path), "%s/none/data", f->parent);
	assert_int_equal(open_directory(f), -ENOENT);
	snprintf(f->path, sizeof(f->path), "%s/none", f->parent);
	assert_int_not_equal(stat(f->path, &status), 0);
}

static void a_link_to_a_directory_is_as_good_as_one(void **state)
{
	struct fixture *f = *state;
	char target[96];
	snprintf(target, sizeof(target), "%s/target", f->parent);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, f->path), 0);
	int lock = open_directory(f);
	assert_true(lock >= 0);
	close(lock);
}

/* What an ordinary user gets; root is let in everywhere. */
static int open_as_nobody(const struct fixture *f)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		char error[512];
		if (geteuid() == 0 && setuid(NOBODY) != 0)
			_exit(255);
		int result = data_directory_open(f->path, error, sizeof(error));
		bool named = strstr(error, f->path) != NULL;
		_exit(result >= 0 ? 0 : named ? -result : 254);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_directory_without_permission_is_refused(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(chmod(f->parent, 0555), 0);
	assert_int_equal(open_as_nobody(f), EACCES); /* cannot make it */
	assert_int_equal(chmod(f->parent, 0755), 0);
	assert_int_equal(mkdir(f->path, 0555), 0);
	assert_int_equal(open_as_nobody(f), EACCES); /* cannot make the log in it */
	char path[128];
	snprintf(path, sizeof(path), "%s/log", f->path);
	chmod(f->path, 0755);
	assert_int_equal(mkdir(path, 0755), 0);
	chmod(f->path, 0555);
	assert_int_equal(open_as_nobody(f), EACCES); /* cannot lock it */
	chmod(f->path, 0755);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(makes_what_is_absent_for_nobody_else_to_read),
		TEST(opens_it_again_after_it_was_given_back),
		TEST(a_directory_in_use_is_refused_naming_the_process),
		TEST(a_process_that_dies_gives_it_back),
		TEST(a_file_in_the_way_is_named_and_stays),
		TEST(a_file_in_the_logs_way_is_named),
		TEST(a_missing_parent_is_not_made),
		TEST(a_link_to_a_directory_is_as_good_as_one),
		TEST(a_directory_without_permission_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
