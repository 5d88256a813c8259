from kit import torchvision_pair

torchvision_pair.install()
