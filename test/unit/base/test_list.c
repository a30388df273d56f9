/*
 * test_list: members join at both ends and leave from anywhere, beside an array of their order.
 */
#include "base/list.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 40

struct model {
	struct list_node *order[MEMBERS];
	size_t count;
};

static void check(const struct list *list, const struct model *model)
{
	const struct list_node *node = list->first, *previous = NULL;
	for (size_t i = 0; i < model->count; i++) {
		assert_ptr_equal(node, model->order[i]);
		assert_ptr_equal(node->previous, previous);
		assert_true(list_has(list, node));
		previous = node;
		node = node->next;
	}
	assert_null(node);
	assert_ptr_equal(list->last, previous);
}

static void model_insert(struct model *model, size_t at, struct list_node *node)
{
	memmove(&model->order[at + 1], &model->order[at],
		(model->count - at) * sizeof(model->order[0]));
	model->order[at] = node;
	model->count++;
}

static void model_remove(struct model *model, size_t at)
{
	model->count--;
	memmove(&model->order[at], &model->order[at + 1],
		(model->count - at) * sizeof(model->order[0]));
}

static void join(
	struct list *list, struct model *model, struct list_node *node, struct random *random)
{
	if (random_below(random, 2)) {
		list_append(list, node);
		model_insert(model, model->count, node);
	} else {
		list_prepend(list, node);
		model_insert(model, 0, node);
	}
}

static void leave(struct list *list, struct model *model, struct random *random)
{
	size_t at = random_below(random, model->count);
	if (random_below(random, 3) == 0) {
		assert_ptr_equal(list_take(list), model->order[0]);
		at = 0;
	} else {
		list_remove(list, model->order[at]);
	}
	assert_null(model->order[at]->next);
	assert_false(list_has(list, model->order[at]));
	model_remove(model, at);
}

static void keeps_the_order_of_its_members(void **state)
{
	struct list_node nodes[MEMBERS] = { 0 };
	struct list list = { 0 };
	struct model model = { 0 };
	struct random random;
	random_seed(&random, 3);
	assert_null(list_take(&list));
	for (int step = 0; step < 20000; step++) {
		struct list_node *node = &nodes[random_below(&random, MEMBERS)];
		if (!list_has(&list, node))
			join(&list, &model, node, &random);
		else if (random_below(&random, 3))
			leave(&list, &model, &random);
		check(&list, &model);
	}
	while (list_take(&list))
		model_remove(&model, 0);
	assert_int_equal(model.count, 0);
	assert_null(list.last);
}

struct outer {
	int number;
	struct list_node node;
};

static void finds_the_struct_that_a_member_lies_in(void **state)
{
	const struct outer outer = { .number = 7 };
	const struct list_node *node = &outer.node;
	assert_ptr_equal(container_of(node, struct outer, node), &outer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_order_of_its_members),
		cmocka_unit_test(finds_the_struct_that_a_member_lies_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
