// swift-tools-version: 6.1

import PackageDescription

// The part of the product that computes, for `make sanitize`: the whole of it would be built three times over, with all
// that it depends on. The Makefile puts this file beside links to Sources and Tests.
let package = Package(
    name: "sanitizers",
    targets: [
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas"),
        .target(name: "CKernels"),
        .target(name: "Locking"),
        .target(name: "TensorKernels", dependencies: ["CKernels", "COpenBLAS", "Locking"]),
        .testTarget(name: "TensorKernelsTests", dependencies: ["TensorKernels"]),
        .testTarget(name: "LockingTests", dependencies: ["Locking"]),
    ]
)
