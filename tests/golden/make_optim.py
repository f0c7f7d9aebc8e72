"""Trajectories of torch.optim under given gradients, and learning rates of its schedules.

Two parameters, a (5, 3) and b (7), in two groups: a with weight decay 0.05, b at twice the rate.
OPTIMISER.a (steps, 5, 3) and .b hold the values after each step; start.* the values before the
first, gradient.* those given, rates the base rate of each step. b has no gradient at step 2.
schedule.warmup_steps, schedule.poly: the rate of each step; settings are in test_optimizer.cpp.
"""
import numpy as np
import torch

from golden import save

STEPS = 6
random = np.random.default_rng(11)
SHAPES = {"a": (5, 3), "b": (7,)}
arrays = {"rates": 0.1 / (1 + np.arange(STEPS))}
for name, shape in SHAPES.items():
    arrays[f"start.{name}"] = random.normal(size=shape)
    arrays[f"gradient.{name}"] = random.normal(size=(STEPS, *shape))


def trajectory(name, make):
    parameters = {k: torch.nn.Parameter(torch.tensor(arrays[f"start.{k}"])) for k in SHAPES}
    optimizer = make([{"params": [parameters["a"]], "weight_decay": 0.05},
                      {"params": [parameters["b"]]}])
    values = {k: [] for k in SHAPES}
    for step in range(STEPS):
        rate = arrays["rates"][step]
        for group, factor in zip(optimizer.param_groups, (1, 2)):
            group["lr"] = rate * factor
        for k, parameter in parameters.items():
            gradient = torch.tensor(arrays[f"gradient.{k}"][step])
            parameter.grad = None if k == "b" and step == 2 else gradient
        optimizer.step()
        for k, parameter in parameters.items():
            values[k].append(parameter.detach().numpy().copy())
    for k in SHAPES:
        arrays[f"{name}.{k}"] = np.stack(values[k])


trajectory("sgd", lambda groups: torch.optim.SGD(groups, lr=1, momentum=0.9))
trajectory("plain_sgd", lambda groups: torch.optim.SGD(groups, lr=1))
trajectory("adam", lambda groups: torch.optim.Adam(groups, lr=1, betas=(0.9, 0.999), eps=1e-8))


def schedule(name, steps, *makers):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.02)
    schedulers = [make(optimizer) for make in makers]
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    arrays[f"schedule.{name}"] = np.array(rates)


lr = torch.optim.lr_scheduler
schedule("warmup_steps", 40,
         lambda o: lr.LinearLR(o, start_factor=1 / 3, total_iters=10),
         lambda o: lr.MultiStepLR(o, milestones=[20, 30], gamma=0.1))
schedule("poly", 25, lambda o: lr.PolynomialLR(o, total_iters=20, power=0.9))

save("optim", arrays, torch=torch.__version__)
