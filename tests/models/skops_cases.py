"""What has no form of arrays, and is kept by skops."""

from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import KernelPCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Matern, WhiteKernel
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge

from .case import Case

KERNEL = ConstantKernel(2.0) * RBF() + WhiteKernel() + Matern() + DotProduct()

CASES: dict[str, Case] = {
    "GaussianProcessClassifier": Case(GaussianProcessClassifier(optimizer=None), 2),
    "GaussianProcessClassifier 3": Case(GaussianProcessClassifier(RBF(2.0), optimizer=None), 3),
    "GaussianProcessRegressor": Case(GaussianProcessRegressor(KERNEL, normalize_y=True, optimizer=None)),
    "KernelRidge": Case(KernelRidge(kernel="rbf", gamma=0.1)),
    "QuadraticDiscriminantAnalysis": Case(QuadraticDiscriminantAnalysis(), 2),
    "QuadraticDiscriminantAnalysis 3": Case(QuadraticDiscriminantAnalysis(reg_param=0.1), 3),
    "EllipticEnvelope": Case(EllipticEnvelope(random_state=0), target=False),
    "KernelPCA": Case(KernelPCA(3, kernel="rbf", eigen_solver="dense"), target=False),
    "Nystroem": Case(Nystroem(n_components=9, random_state=0), target=False),
    "RBFSampler": Case(RBFSampler(n_components=9, random_state=0), target=False),
}
