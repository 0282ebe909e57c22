"""Models of torchvision with random weights and small inputs: classification, segmentation, detection, flow, video."""
import torch
from torchvision import models, ops
from torchvision.models import detection, optical_flow, segmentation, video

from cases import both, case


def images(*shapes):
    return lambda: [(torch.randn(shape),) for shape in shapes]


SMALL = images((2, 3, 64, 64), (1, 3, 64, 64))


def classifier(name, inputs=SMALL, **options):
    settings = {key: options.pop(key) for key in list(options) if key in ("gradients", "training", "rtol", "atol", "seed")}
    both(name, lambda: models.get_model(name, num_classes=10, **options), inputs, **settings)


classifier("resnet18")
classifier("resnet50")
classifier("resnext50_32x4d")
classifier("densenet121")
classifier("mobilenet_v2")
classifier("mobilenet_v3_large")
classifier("mobilenet_v3_small")
classifier("efficientnet_b0")
classifier("efficientnet_v2_s")
classifier("swin_t")
classifier("swin_v2_t")
classifier("convnext_tiny")
classifier("squeezenet1_1")
classifier("shufflenet_v2_x0_5")
classifier("regnet_y_400mf")
classifier("mnasnet0_5")
classifier("alexnet")
classifier("vgg11_bn", images((1, 3, 64, 64)))
classifier("googlenet", aux_logits=False, init_weights=False)
classifier("inception_v3", images((2, 3, 96, 96)), aux_logits=False, init_weights=False)
both("vit", lambda: models.VisionTransformer(
    image_size=32, patch_size=8, num_layers=4, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=10, dropout=0.1),
    images((2, 3, 32, 32)))
case("maxvit", lambda: models.MaxVit(
    input_size=(32, 32), stem_channels=16, partition_size=2, block_channels=[16, 32], block_layers=[1, 1], head_dim=8,
    stochastic_depth_prob=0.1, num_classes=10), images((2, 3, 32, 32)), "script")
case("vit_b_16", lambda: models.vit_b_16(image_size=32, num_classes=10), images((1, 3, 32, 32)), "script")

# Auxiliary heads: their outputs are a named tuple, and a scripted model warns.
case("googlenet_aux", lambda: models.googlenet(aux_logits=True, init_weights=False, num_classes=10),
     images((2, 3, 64, 64)), "script")
case("inception_aux", lambda: models.inception_v3(aux_logits=True, init_weights=False, num_classes=10),
     images((2, 3, 96, 96)), "script")

# Gradients of whole models, batch norms and dropout as in training.
for kind in ("script", "trace"):
    case("resnet18_training", lambda: models.resnet18(num_classes=10), images((2, 3, 64, 64)), kind,
         training=True, gradients=True)
case("mobilenet_v3_training", lambda: models.mobilenet_v3_small(num_classes=10), images((4, 3, 64, 64)), "script",
     training=True, gradients=True)
case("vit_training", lambda: models.VisionTransformer(
    image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=10, dropout=0.1),
    images((2, 3, 32, 32)), "script", training=True, gradients=True)


# ---- segmentation ----------------------------------------------------------------------------------------------------

def segmenter(name, **options):
    both(name, lambda: segmentation.__dict__[name](weights=None, weights_backbone=None, num_classes=5, **options), SMALL)


segmenter("fcn_resnet50", aux_loss=True)
segmenter("deeplabv3_resnet50")
segmenter("deeplabv3_mobilenet_v3_large")
segmenter("lraspp_mobilenet_v3_large")


# ---- detection -------------------------------------------------------------------------------------------------------

def scenes():
    return [([torch.rand(3, 70, 90), torch.rand(3, 64, 48)],), ([torch.rand(3, 80, 60)],)]


def settle_backbone(module, inputs):
    return lambda: module.backbone(module.transform(inputs[0][0])[0].tensors)


def spread_scores(model, factor):
    """Random heads score all regions alike; larger weights in the last layers set them apart. Too large, and scores saturate at 1:
    which of equal ones PyTorch takes hangs on how its sort is written."""
    for name, parameter in model.named_parameters():
        if any(part in name for part in ("cls_score", "cls_logits", "classification_head", "rpn.head.cls")):
            parameter.data.mul_(factor if parameter.dim() > 1 else 1)
    return model


def spread_logits(module, inputs):
    """As `spread_scores`, for heads that score every anchor: logits get a mean of -1 and a deviation of 2, so that scores neither
    are all alike nor saturate."""
    with torch.no_grad():
        features = module.backbone(module.transform(inputs[0][0])[0].tensors)
        head = module.head.classification_head
        logits = head(list(features.values()))
        # What follows after the last norm or activation: one convolution, or one for each level.
        last = [head.cls_logits] if hasattr(head, "cls_logits") else [m[-1] if isinstance(m, torch.nn.Sequential) else m for m in head.module_list]
        scale = 2 / logits.std()
        for layer in last:
            layer.weight.mul_(scale)
            layer.bias.mul_(scale).add_(-1 - logits.mean() * scale)


def detector(name, settings=None, inputs=scenes, title=None, spread=20, **options):
    build = detection.__dict__[name]
    case(title or name, lambda: spread_scores(build(weights=None, weights_backbone=None, num_classes=4, **(settings or {})), spread),
         inputs, "script", settle=settle_backbone, **options)


small = {"min_size": 64, "max_size": 96}
roi_heads = {**small, "box_score_thresh": 0.05, "box_detections_per_img": 12, "rpn_post_nms_top_n_test": 60}
detector("fasterrcnn_resnet50_fpn", roi_heads)
detector("fasterrcnn_resnet50_fpn_v2", roi_heads)
detector("fasterrcnn_mobilenet_v3_large_320_fpn", roi_heads, double=True)
class Detections(torch.nn.Module):
    """What is found in one image, as a tuple, which a trace can return."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        found = self.model([image])[0]
        return found["boxes"], found["labels"], found["scores"]


case("fasterrcnn_traced", lambda: Detections(spread_scores(detection.fasterrcnn_resnet50_fpn(
    weights=None, weights_backbone=None, num_classes=4, **roi_heads), 20)), images((3, 70, 90), (3, 70, 90)), "trace",
    settle=lambda module, inputs: lambda: module.model.backbone(module.model.transform([inputs[0][0]])[0].tensors))
detector("maskrcnn_resnet50_fpn", roi_heads)
detector("keypointrcnn_resnet50_fpn", {**roi_heads, "num_keypoints": 5})
detector("retinanet_resnet50_fpn", {**small, "score_thresh": 0.05, "detections_per_img": 20}, spread=1, prepare=spread_logits)
detector("fcos_resnet50_fpn", {**small, "score_thresh": 0.05, "detections_per_img": 20}, spread=1, prepare=spread_logits, double=True)
detector("ssd300_vgg16", {"score_thresh": 0.05, "detections_per_img": 20, "topk_candidates": 50},
         lambda: [([torch.rand(3, 70, 90)],)], spread=1, prepare=spread_logits)
detector("ssdlite320_mobilenet_v3_large", {"score_thresh": 0.05, "detections_per_img": 20, "topk_candidates": 50}, spread=1,
         prepare=spread_logits)


def labelled():
    def target(height, width, count):
        corner = torch.rand(count, 2) * torch.tensor([width / 2.0, height / 2.0])
        size = torch.rand(count, 2) * torch.tensor([width / 2.5, height / 2.5]) + 4
        masks = (torch.rand(count, height, width) > 0.5).to(torch.uint8)
        points = torch.rand(count, 5, 3)
        points[:, :, 0] = corner[:, :1] + points[:, :, 0] * size[:, :1]
        points[:, :, 1] = corner[:, 1:] + points[:, :, 1] * size[:, 1:]
        points[:, :, 2] = 1
        return {"boxes": torch.cat([corner, corner + size], 1), "labels": torch.randint(1, 4, (count,)),
                "masks": masks, "keypoints": points}
    return [([torch.rand(3, 70, 90), torch.rand(3, 64, 48)], [target(70, 90, 3), target(64, 48, 2)])]


# Losses, with boxes sampled at random from a seed.
trained = {**small, "rpn_post_nms_top_n_train": 60, "box_batch_size_per_image": 24}
detector("fasterrcnn_mobilenet_v3_large_320_fpn", trained, labelled, title="fasterrcnn_losses", training=True)
detector("maskrcnn_resnet50_fpn", trained, labelled, title="maskrcnn_losses", training=True)
detector("keypointrcnn_resnet50_fpn", {**trained, "num_keypoints": 5}, labelled, title="keypointrcnn_losses", training=True)
detector("retinanet_resnet50_fpn", small, labelled, title="retinanet_losses", training=True)
detector("fcos_resnet50_fpn", small, labelled, title="fcos_losses", training=True)
detector("ssdlite320_mobilenet_v3_large", {}, labelled, title="ssdlite_losses", training=True)


# ---- operators of detection ------------------------------------------------------------------------------------------

class Regions(torch.nn.Module):
    """Each operator on regions, with its gradient."""

    def __init__(self):
        super().__init__()
        self.offset = torch.nn.Conv2d(4, 18, 3, padding=1)
        self.mask = torch.nn.Conv2d(4, 9, 3, padding=1)
        self.deform = ops.DeformConv2d(4, 6, 3, padding=1)
        self.strided = ops.DeformConv2d(4, 6, 3, stride=2, dilation=2, groups=2, bias=False)
        self.strided_offset = torch.nn.Conv2d(4, 36, 3, stride=2, dilation=2)

    def forward(self, features: torch.Tensor, boxes: torch.Tensor):
        wide = features.repeat(1, 9, 1, 1)
        deformed = self.deform(features, self.offset(features), torch.sigmoid(self.mask(features)))
        strided = self.strided(features, self.strided_offset(features))
        return (
            ops.roi_align(features, boxes, [3, 2], 0.5, 2, True), ops.roi_align(features, boxes, [2, 2], 0.5, -1, False),
            ops.roi_pool(features, boxes, [3, 3], 0.5), ops.ps_roi_align(wide, boxes, [3, 3], 0.5, 2),
            ops.ps_roi_align(wide, boxes, [3, 3], 0.5, -1), ops.ps_roi_pool(wide, boxes, [3, 3], 0.5), deformed, strided)


def regions():
    corner = torch.rand(6, 2) * 14
    boxes = torch.cat([torch.tensor([[0.0], [1], [0], [1], [1], [0]]), corner, corner + torch.rand(6, 2) * 14 + 1], 1)
    return [(torch.randn(2, 4, 13, 15), boxes)]


case("region_operators", Regions, regions, "script", gradients=True)


# ---- optical flow and video ------------------------------------------------------------------------------------------

def frames(size):
    return lambda: [(torch.rand(1, 3, size, size), torch.rand(1, 3, size, size), 2)]


case("raft_small", lambda: optical_flow.raft_small(weights=None), frames(128), "script")
case("raft_large", lambda: optical_flow.raft_large(weights=None), frames(128), "script")

CLIP = images((1, 3, 4, 32, 32))
for name in ("r3d_18", "mc3_18", "r2plus1d_18"):
    both(name, lambda name=name: video.__dict__[name](num_classes=10), CLIP)
case("s3d", lambda: video.s3d(num_classes=10), images((1, 3, 16, 224, 224)), "script")
case("mvit_v2_s", lambda: video.MViT(
    spatial_size=(32, 32), temporal_size=4, num_classes=10, residual_pool=True, residual_with_cls_embed=False,
    rel_pos_embed=True, proj_after_attn=True, block_setting=[
        video.mvit.MSBlockConfig(1, 16, 32, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 1, 1]),
        video.mvit.MSBlockConfig(2, 32, 32, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 2, 2])]), CLIP, "script")
