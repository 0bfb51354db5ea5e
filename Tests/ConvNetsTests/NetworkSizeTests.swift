import TensorKernels
import Testing

@testable import ConvNets

@Suite struct NetworkSizeTests {
    private let teacher: PatchDescriptionNetwork
    private let student: PatchDescriptionNetwork
    private let autoencoder: Autoencoder

    init() throws {
        teacher = try PatchDescriptionNetwork(
            parameters: .means(PatchDescriptionNetwork.parameterShapes(outputChannels: 384)))
        student = try PatchDescriptionNetwork(
            parameters: .means(PatchDescriptionNetwork.parameterShapes(outputChannels: 768)))
        autoencoder = try Autoencoder(parameters: .means(Autoencoder.parameterShapes(outputChannels: 384)))
    }

    @Test func parameterCountsAreThePublishedOnes() {
        #expect(teacher.parameters.valueCount == 2_694_144)
        #expect(student.parameters.valueCount == 4_267_392)
        #expect(autoencoder.parameters.valueCount == 1_096_320)
        let total = [teacher.parameters, student.parameters, autoencoder.parameters].reduce(0) { $0 + $1.valueCount }
        #expect(total == 8_057_856)
    }

    @Test func countsOfTheMediumNetworksAreThePublishedOnes() throws {
        func network(outputChannels: Int, padded: Bool = false) throws -> PatchDescriptionNetwork {
            try PatchDescriptionNetwork(
                parameters: .means(
                    PatchDescriptionNetwork.parameterShapes(outputChannels: outputChannels, size: .medium)),
                size: .medium, padded: padded)
        }
        let teacher = try network(outputChannels: 384)
        let student = try network(outputChannels: 768)
        #expect(teacher.outputChannels == 384 && student.outputChannels == 768)
        #expect(teacher.parameters.valueCount == 8_026_624)
        #expect(student.parameters.valueCount == 11_615_488)
        let total = [teacher.parameters, student.parameters, autoencoder.parameters].reduce(0) { $0 + $1.valueCount }
        #expect(total == 20_738_432)
        #expect(teacher.multiplyAccumulates(imageHeight: 256, imageWidth: 256) == 52_029_927_424)
        #expect(student.multiplyAccumulates(imageHeight: 256, imageWidth: 256) == 63_282_196_480)

        func sides(_ network: PatchDescriptionNetwork) -> [Int] {
            network.layerSizes(imageHeight: 256, imageWidth: 256).flatMap { [$0.inputHeight, $0.outputHeight] }
        }
        #expect(sides(teacher) == [256, 253, 126, 123, 61, 61, 61, 59, 59, 56, 56, 56])
        #expect(
            sides(try network(outputChannels: 384, padded: true))
                == [256, 259, 130, 133, 67, 67, 67, 67, 67, 64, 64, 64])
    }

    @Test func multiplicationCountsAreThePublishedOnes() {
        #expect(teacher.multiplyAccumulates(imageHeight: 256, imageWidth: 256) == 15_310_903_296)
        #expect(student.multiplyAccumulates(imageHeight: 256, imageWidth: 256) == 20_243_404_800)
        #expect(autoencoder.multiplyAccumulates == 2_392_981_504)
    }

    @Test func mapsHaveTheSizesOfTheTable() throws {
        func sides(_ network: PatchDescriptionNetwork) -> [Int] {
            network.layerSizes(imageHeight: 256, imageWidth: 256).flatMap { [$0.inputHeight, $0.outputHeight] }
        }
        #expect(sides(teacher) == [256, 253, 126, 123, 61, 59, 59, 56])
        let padded = try PatchDescriptionNetwork(parameters: teacher.parameters, padded: true)
        #expect(sides(padded) == [256, 259, 130, 133, 67, 67, 67, 64])
        #expect(padded.multiplyAccumulates(imageHeight: 256, imageWidth: 256) == 18_776_446_976)

        #expect(autoencoder.imageSide == 256)
        #expect(
            autoencoder.layerSizes.map(\.outputHeight) == [128, 64, 32, 16, 8, 1, 4, 9, 16, 33, 64, 128, 56, 56])
        let paddedAutoencoder = try Autoencoder(parameters: autoencoder.parameters, padded: true)
        #expect(paddedAutoencoder.layerSizes.suffix(2).map(\.outputHeight) == [64, 64])
    }
}

@Suite struct ParameterCheckTests {
    private let shapes = PatchDescriptionNetwork.parameterShapes(outputChannels: 384)

    @Test func parametersMayComeInAnyOrder() throws {
        let network = try PatchDescriptionNetwork(parameters: .means(shapes.reversed()))
        #expect(network.parameters.names == shapes.map(\.name))
        #expect(network.outputChannels == 384)
    }

    @Test func missingUnknownAndMisshapenParametersAreNamed() {
        let network = "patch description network"
        #expect(throws: NetworkError.missingParameter("conv3.bias", network: network)) {
            try PatchDescriptionNetwork(parameters: .means(shapes.filter { $0.name != "conv3.bias" }))
        }
        #expect(throws: NetworkError.unknownParameter("conv5.weight", network: network)) {
            try PatchDescriptionNetwork(parameters: .means(shapes + [("conv5.weight", [1])]))
        }
        for (name, shape, expected) in [
            ("conv2.weight", [256, 64, 4, 4], "[channels, 128, 4, 4]"),
            ("conv2.weight", [256, 128, 3, 3], "[channels, 128, 4, 4]"),
            ("conv2.weight", [256, 128, 4, 3], "[channels, 128, 4, 4]"),
            ("conv2.weight", [256, 128], "[channels, 128, 4, 4]"),
            ("conv2.bias", [255], "[256]"),
        ] {
            let error = NetworkError.wrongShape(name, network: network, found: shape, expected: expected)
            #expect(throws: error) {
                try PatchDescriptionNetwork(parameters: .means(shapes.map { $0.name == name ? (name, shape) : $0 }))
            }
        }
    }

    @Test func parametersOfTheOtherSizeAreRefused() {
        let network = "patch description network"
        let medium = PatchDescriptionNetwork.parameterShapes(outputChannels: 384, size: .medium)
        #expect(
            throws: NetworkError.wrongShape(
                "conv3.weight", network: network, found: [256, 256, 3, 3], expected: "[channels, 256, 1, 1]")
        ) { try PatchDescriptionNetwork(parameters: .means(shapes), size: .medium) }
        #expect(
            throws: NetworkError.wrongShape(
                "conv3.weight", network: network, found: [512, 512, 1, 1], expected: "[channels, 512, 3, 3]")
        ) { try PatchDescriptionNetwork(parameters: .means(medium)) }
        #expect(throws: NetworkError.missingParameter("conv6.bias", network: network)) {
            try PatchDescriptionNetwork(
                parameters: .means(medium.filter { $0.name != "conv6.bias" }), size: .medium)
        }
    }

    @Test func autoencoderOfAnotherCodeSizeIsRefused() {
        let shapes = Autoencoder.parameterShapes(outputChannels: 384).map { name, shape in
            name == "encoder.enconv6.weight" ? (name, [64, 64, 8, 7]) : (name, shape)
        }
        #expect(throws: NetworkError.self) { try Autoencoder(parameters: .means(shapes)) }
    }
}
