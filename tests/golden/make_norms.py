"""Batch norm (training steps, then inference), frozen batch norm and group norm, by PyTorch.

Everything in double. Images are transposed from NCHW to NHWC; <case>.x<step> goes with the results
<case>.y<step>, the cotangents <case>.dy<step>, and the gradients dx, dgamma and dbeta of that step.
"""
import torch
import torchvision

from golden import save

torch.manual_seed(21)
torch.set_default_dtype(torch.float64)
arrays = {}


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()


def randomise(module):
    with torch.no_grad():
        module.weight.copy_(torch.rand(module.weight.shape) * 2 - 0.5)
        module.bias.copy_(torch.randn(module.bias.shape))
    return module


def step(case, k, module, shape):
    """One forward and backward; the input is off centre, so that a poor variance shows."""
    x = (torch.randn(shape) * 1.7 + 3).requires_grad_()
    dy = torch.randn(shape)
    module.zero_grad()
    y = module(x)
    y.backward(dy)
    arrays.update({f"{case}.x{k}": nhwc(x), f"{case}.y{k}": nhwc(y), f"{case}.dy{k}": nhwc(dy),
                   f"{case}.dx{k}": nhwc(x.grad), f"{case}.dgamma{k}": module.weight.grad.numpy().copy(),
                   f"{case}.dbeta{k}": module.bias.grad.numpy().copy()})


def parameters(case, module):
    arrays[f"{case}.gamma"] = module.weight.detach().numpy()
    arrays[f"{case}.beta"] = module.bias.detach().numpy()


def batch_norm(case, shape, momentum, eps):
    """Steps 0 to 2 train and keep the running statistics after each; step 3 infers."""
    module = randomise(torch.nn.BatchNorm2d(shape[1], momentum=momentum, eps=eps))
    parameters(case, module)
    for k in range(3):
        step(case, k, module, shape)
        arrays[f"{case}.running_mean{k}"] = module.running_mean.numpy().copy()
        arrays[f"{case}.running_var{k}"] = module.running_var.numpy().copy()
    module.eval()
    step(case, 3, module, shape)


def frozen_batch_norm():
    module = torchvision.ops.FrozenBatchNorm2d(6, eps=2e-3)
    for name in ("weight", "bias", "running_mean"):
        getattr(module, name).copy_(torch.randn(6))
    module.running_var.copy_(torch.rand(6) * 3)
    x = torch.randn(2, 6, 3, 4)
    parameters("frozen", module)
    arrays.update({"frozen.mean": module.running_mean.numpy(), "frozen.var": module.running_var.numpy(),
                   "frozen.x": nhwc(x), "frozen.y": nhwc(module(x))})


def group_norm(case, shape, groups, eps):
    module = randomise(torch.nn.GroupNorm(groups, shape[1], eps=eps))
    parameters(case, module)
    step(case, 0, module, shape)


batch_norm("batch", (2, 5, 9, 11), 0.1, 1e-5)  # rows in several pieces
batch_norm("batch_slow", (3, 4, 2, 1), 0.03, 1e-2)
frozen_batch_norm()
group_norm("group", (2, 12, 9, 8), 4, 1e-5)
group_norm("group_one", (3, 6, 2, 3), 1, 1e-3)  # layer normalisation
group_norm("group_each", (2, 6, 3, 3), 6, 1e-5)  # instance normalisation
group_norm("group_1x1", (2, 64, 1, 1), 32, 1e-5)
save("norms", arrays, torch=torch.__version__, torchvision=torchvision.__version__)
