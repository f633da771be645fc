"""Items by user, drawn at the ends of the list."""

import torch

from recbole_logq.samplers import UserItems


def test_users_at_the_end_without_items_draw_nothing():
    one = UserItems(torch.tensor([0]), torch.tensor([5]), 3)
    uniform = torch.tensor([[0.0, 0.999]]).expand(3, 2)
    assert one.draw(torch.arange(3), uniform).tolist() == [[5, 5], [0, 0], [0, 0]]
    none = UserItems(torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64), 3)
    assert none.draw(torch.arange(3), uniform).tolist() == [[0, 0]] * 3


def test_every_item_of_a_user_is_drawn_in_equal_parts_of_the_unit_interval():
    items = UserItems(torch.tensor([1, 1, 1, 2]), torch.tensor([9, 4, 7, 2]), 3)
    uniform = torch.tensor([[0.0, 0.33, 0.34, 0.66, 0.67, 0.999]])
    assert items.draw(torch.tensor([1]), uniform).tolist() == [[4, 4, 7, 7, 9, 9]]
