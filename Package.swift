// swift-tools-version: 6.1

import PackageDescription

// Lowest first; what a target may import is what it lists (the map is in the README).
let package = Package(
    name: "beltwatch",
    products: [
        .executable(name: "beltwatch", targets: ["beltwatch"]),
        .executable(name: "beltwatchd", targets: ["beltwatchd"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // C: libraries, each imported by exactly one target, and our own hot loops.
        .systemLibrary(
            name: "CGStreamer", pkgConfig: "gstreamer-1.0 gstreamer-app-1.0 gstreamer-video-1.0",
            providers: [.apt(["libgstreamer1.0-dev", "libgstreamer-plugins-base1.0-dev"])]),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CZeroMQ", pkgConfig: "libzmq", providers: [.apt(["libzmq3-dev"])]),
        .target(name: "CKernels"),

        // The science: values in, values out.
        .target(name: "Locking"),
        .target(name: "TensorKernels", dependencies: ["CKernels", "COpenBLAS", "Locking"]),
        .target(name: "ConvNets", dependencies: ["TensorKernels"]),
        .target(name: "Imaging", dependencies: ["Locking", "TensorKernels"]),
        .target(name: "AnomalyScoring", dependencies: ["ConvNets", "Imaging", "TensorKernels"]),
        .target(name: "Training", dependencies: ["AnomalyScoring", "ConvNets", "Imaging", "TensorKernels"]),
        .target(name: "Evaluation", dependencies: ["AnomalyScoring", "ConvNets"]),
        .target(name: "SyntheticLine", dependencies: ["Imaging"]),

        // The outside: files, cameras, sockets.
        .target(
            name: "Archive",
            dependencies: [
                "AnomalyScoring", "ConvNets", "Imaging", "Locking", "TensorKernels",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            resources: [.copy("Resources")]),
        .target(name: "Capture", dependencies: ["CGStreamer", "Imaging", "Locking"]),
        .target(name: "InspectionProtocol"),
        .target(name: "Messaging", dependencies: ["CZeroMQ", "InspectionProtocol", "Locking"]),
        .target(name: "InspectionClient", dependencies: ["InspectionProtocol", "Messaging"]),

        // The line: stages, decisions, states.
        .target(
            name: "InspectionRuntime",
            dependencies: [
                "AnomalyScoring", "Imaging", "InspectionProtocol", "Locking", "TensorKernels",
                .product(name: "Logging", package: "swift-log"), "Yams",
            ]),
        .target(
            name: "Journal",
            dependencies: [
                "Archive", "Imaging", "InspectionProtocol", "InspectionRuntime", "Locking",
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "EvidenceKeeping",
            dependencies: [
                "AnomalyScoring", "Archive", "Capture", "Imaging", "InspectionProtocol", "InspectionRuntime", "Locking",
                "TensorKernels", .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "StationAssembly",
            dependencies: [
                "Archive", "CMalloc", "EvidenceKeeping", "Imaging", "InspectionProtocol", "InspectionRuntime",
                "Journal", "Locking", "Messaging", .product(name: "Logging", package: "swift-log"),
            ]),

        // The programs. The daemon never links Training.
        .executableTarget(
            name: "beltwatchd",
            dependencies: [
                "AnomalyScoring", "Archive", "Capture", "ConvNets", "Imaging", "InspectionProtocol",
                "InspectionRuntime", "Locking", "StationAssembly", "TensorKernels",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .executableTarget(
            name: "beltwatch",
            dependencies: [
                "AnomalyScoring", "Archive", "Capture", "ConvNets", "Evaluation", "Imaging", "InspectionClient",
                "InspectionProtocol", "InspectionRuntime", "Journal", "Locking", "Messaging", "SyntheticLine",
                "TensorKernels", "Training",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // `make benchmark`; the Python that measures the others lies beside it.
        .target(name: "CPeakLoop", path: "Tests/Benchmarks/CPeakLoop"),
        .executableTarget(
            name: "EngineBenchmark",
            dependencies: [
                "AnomalyScoring", "Archive", "CPeakLoop", "ConvNets", "Imaging", "Locking", "SyntheticLine",
                "TensorKernels", "Training",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Benchmarks/EngineBenchmark"),

        // `make load`, `make test-long`.
        .executableTarget(
            name: "LineLoad",
            dependencies: [
                "AnomalyScoring", "Imaging", "InspectionClient", "InspectionProtocol", "InspectionRuntime", "Journal",
                "Locking", "Messaging", "StationAssembly", "TensorKernels",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Benchmarks/LineLoad"),

        // `make experiments`, `make reproduce-loco`, `make reproduce-mvtec`.
        .executableTarget(
            name: "Experiments",
            dependencies: [
                "Evaluation", "Locking", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Benchmarks/Experiments"),

        // Tests; golden files and the scripts that made them lie beside the tests and are read from there.
        .testTarget(name: "TensorKernelsTests", dependencies: ["TensorKernels"]),
        .testTarget(name: "ConvNetsTests", dependencies: ["ConvNets", "TensorKernels"], exclude: ["Golden"]),
        .testTarget(name: "ImagingTests", dependencies: ["Imaging", "Locking", "TensorKernels"], exclude: ["Golden"]),
        .testTarget(
            name: "AnomalyScoringTests",
            dependencies: ["AnomalyScoring", "ConvNets", "Imaging", "Locking", "TensorKernels"],
            exclude: ["Golden"]),
        .testTarget(
            name: "TrainingTests",
            dependencies: ["AnomalyScoring", "ConvNets", "Imaging", "TensorKernels", "Training"],
            exclude: ["Golden"]),
        .testTarget(name: "LockingTests", dependencies: ["Locking"]),
        .testTarget(name: "EvaluationTests", dependencies: ["AnomalyScoring", "Evaluation"], exclude: ["Golden"]),
        .testTarget(name: "SyntheticLineTests", dependencies: ["Imaging", "SyntheticLine"]),
        .testTarget(
            name: "ArchiveTests", dependencies: ["AnomalyScoring", "Archive", "ConvNets", "Imaging", "TensorKernels"],
            exclude: ["Golden"]),
        .testTarget(name: "CaptureTests", dependencies: ["Capture", "Imaging", "Locking"], exclude: ["Images"]),
        .testTarget(name: "InspectionProtocolTests", dependencies: ["InspectionProtocol"]),
        .testTarget(
            name: "MessagingTests", dependencies: ["InspectionProtocol", "Locking", "Messaging"],
            exclude: ["recovering-client.py", "subscriber.py"]),
        .testTarget(
            name: "InspectionClientTests",
            dependencies: ["InspectionClient", "InspectionProtocol", "Locking", "Messaging"]),
        .testTarget(
            name: "InspectionRuntimeTests",
            dependencies: [
                "AnomalyScoring", "Imaging", "InspectionProtocol", "InspectionRuntime", "Locking", "TensorKernels",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "JournalTests",
            dependencies: [
                "Archive", "Imaging", "InspectionProtocol", "InspectionRuntime", "Journal", "Locking", "Messaging",
                "StationAssembly",
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "EvidenceKeepingTests",
            dependencies: [
                "AnomalyScoring", "Archive", "Capture", "EvidenceKeeping", "Imaging", "InspectionProtocol",
                "InspectionRuntime", "Locking", "TensorKernels", .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "AnomalyScoring", "Archive", "Capture", "ConvNets", "Imaging", "InspectionProtocol",
                "InspectionRuntime", "Journal", "Locking", "Messaging", "TensorKernels", "beltwatchd",
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .testTarget(
            name: "ExperimentsTests", dependencies: ["AnomalyScoring", "Evaluation", "Experiments"],
            exclude: ["stand-in.sh"]),
        .testTarget(
            name: "LineLoadTests",
            dependencies: ["AnomalyScoring", "Imaging", "InspectionProtocol", "InspectionRuntime", "LineLoad"]),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "AnomalyScoring", "Archive", "Imaging", "InspectionProtocol", "InspectionRuntime", "Journal", "Locking",
                "Messaging", "SyntheticLine", "TensorKernels", "beltwatch",
                .product(name: "Logging", package: "swift-log"),
            ]),
    ]
)
