import Foundation
import TensorKernels
import Testing

@testable import ConvNets

@Suite struct OutlookAttentionTests {
    private let engine = ReferenceConvolution(threads: 2)

    /// ALGORITHMS §9.9, the full block; sums of some dozen products of float32.
    @Test func aFullBlockMatchesTheWorkedExample() {
        let attention = OutlookAttention(name: "outlook3", firstIndex: 0, heads: 2, window: 3)
        let logitRows: [Float] = (0..<162).flatMap { k in
            [Float(0.1 * sin(Double(k + 1))), Float(0.05 * cos(Double(k)))]
        }
        let parameters = ParameterSet([
            ("outlook3.v.weight", Tensor(shape: [2, 2, 1, 1], values: [1, 0, 1, 1])),
            ("outlook3.attn.weight", Tensor(shape: [162, 2, 1, 1], values: logitRows)),
            ("outlook3.attn.bias", Tensor(shape: [162], values: (0..<162).map { 0.01 * Float($0 % 7) })),
            ("outlook3.proj.weight", Tensor(shape: [2, 2, 1, 1], values: [1, -1, 0.5, 2])),
            ("outlook3.proj.bias", Tensor(shape: [2], values: [0.1, -0.2])),
        ])
        let input = Tensor(shape: [2, 2, 2], values: [1, 2, 3, 4, 0.5, -1, 0, 1])
        let (output, tape) = attention.forwardRecording(input, parameters: parameters, on: engine)
        #expect(tape.values.values == [1, 2, 3, 4, 1.5, 1, 3, 5])

        // Head 0, place 0 of the window around pixel (0, 0).
        let powers = (0..<9).map { exp(Double(tape.logits.values[4 * $0])) }
        let weights = powers.map { $0 / powers.reduce(0, +) }
        expectClose(
            weights,
            [
                0.11755548, 0.11817902, 0.10792879, 0.09823212, 0.09805512, 0.10851770, 0.12242104, 0.11857512,
                0.11053560,
            ])
        expectClose(
            tape.aggregated.values.map(Double.init),
            [
                4.4960563661, 4.5303320691, 4.4055888727, 4.4510006828, 4.7001279624, 4.6525042235, 4.5458448554,
                4.7530470346,
            ])
        expectClose(
            output.values.map(Double.init),
            [
                -0.1040715964, -0.0221721544, -0.0402559827, -0.2020463518, 11.4482841079, 11.3701744816,
                11.0944841471, 11.5315944107,
            ])
        #expect(attention.forward(input, parameters: parameters, on: engine) == output)
    }

    @Test func countsAreThePublishedOnes() {
        func count(_ layers: [Architecture.Layer]) -> Int {
            Architecture(layers: layers).parameterShapes.reduce(0) { $0 + $1.shape.reduce(1, *) }
        }
        #expect(count(OutlookAttention.layers(name: "a", channels: 512, heads: 8, window: 3)) == 857_224)
        #expect(count(OutlookAttention.layers(name: "a", channels: 512, heads: 8, window: 5)) == 3_089_800)
        let block = MultiScaleOutlookAttention.layers(name: "msoa", channels: 512)
        #expect(block.last?.parameterShapes.reduce(0) { $0 + $1.shape.reduce(1, *) } == 524_800)
        #expect(count(block) == 4_471_824)
        // Of the extractor on PDN-S (ALGORITHMS §2.5).
        #expect(count(MultiScaleOutlookAttention.layers(name: "msoa", channels: 256)) == 1_845_520)
    }

    @Test func multiplicationsOfTheBlockAreThePublishedOnes() {
        let architecture = Architecture(layers: MultiScaleOutlookAttention.layers(name: "msoa", channels: 512))
        #expect(
            MultiScaleOutlookAttention(name: "msoa", firstIndex: 0)
                .multiplyAccumulates(
                    height: 61, width: 61, parameters: .means(architecture.parameterShapes)) == 16_612_925_440)
    }

    @Test func parametersAreNamedAsThePublishedCodeNamesThem() {
        let architecture = Architecture(
            layers: MultiScaleOutlookAttention.layers(name: "msoa", channels: 4, heads: 2))
        #expect(
            architecture.parameterShapes.map(\.name) == [
                "msoa.outlook3.v.weight", "msoa.outlook3.attn.weight", "msoa.outlook3.attn.bias",
                "msoa.outlook3.proj.weight", "msoa.outlook3.proj.bias", "msoa.outlook5.v.weight",
                "msoa.outlook5.attn.weight", "msoa.outlook5.attn.bias", "msoa.outlook5.proj.weight",
                "msoa.outlook5.proj.bias", "msoa.fusion.weight", "msoa.fusion.bias",
            ])
    }

    /// A fusion that takes over the channels of one window alone.
    @Test func theFusionSeesBothWindows() throws {
        let narrow = NarrowBlock(seed: 21)
        for (number, window) in [3, 5].enumerated() {
            var parameters = narrow.parameters
            var selection = Tensor(shape: [4, 8, 1, 1])
            for c in 0..<4 { selection.values[c * 8 + number * 4 + c] = 1 }
            parameters[NarrowBlock.firstIndex + 10] = selection
            parameters[NarrowBlock.firstIndex + 11] = Tensor(shape: [4])
            let scale = OutlookAttention(
                name: "scale", firstIndex: NarrowBlock.firstIndex + 5 * number, heads: 2, window: window)
            #expect(
                narrow.block.forward(narrow.input, parameters: parameters, on: engine)
                    == scale.forward(narrow.input, parameters: parameters, on: engine))
        }
    }

    /// Central differences of the loss `⟨output, G⟩` along random directions.
    ///
    /// The loss is linear in all parameters but the logits' and in no direction far from it, so steps of 1e-2 leave an
    /// error of the order 1e-4, and float32 sums of some hundred products as much.
    @Test func gradientsMatchFiniteDifferences() {
        let narrow = NarrowBlock(seed: 22)
        var generator = LinearCongruential(seed: 23)
        let (output, tape) = narrow.block.forwardRecording(narrow.input, parameters: narrow.parameters, on: engine)
        #expect(output == narrow.block.forward(narrow.input, parameters: narrow.parameters, on: engine))
        let outputGradient = generator.tensor(output.shape, in: -1...1)
        var gradients = narrow.parameters.zeros
        let inputGradient = narrow.block.backward(
            outputGradient, through: tape, parameters: narrow.parameters, accumulatingInto: &gradients, on: engine)

        func loss(_ input: Tensor, _ parameters: ParameterSet) -> Double {
            zip(narrow.block.forward(input, parameters: parameters, on: engine).values, outputGradient.values)
                .reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        func expectDifference(_ name: String, of gradient: [Float], loss: (_ step: [Float]) -> Double) {
            for _ in 0..<3 {
                let step = gradient.map { _ in generator.uniform() < 0.5 ? -0.01 : 0.01 as Float }
                let difference = (loss(step) - loss(step.map { -$0 })) / 0.02
                let component = zip(gradient, step).reduce(0.0) { $0 + Double($1.0) * Double($1.1) } / 0.01
                let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                #expect(length > 0.01, "\(name)")
                #expect(abs(difference - component) < 2e-3 * length, "\(name): \(difference), \(component), \(length)")
            }
        }
        expectDifference("input", of: inputGradient.values) { step in
            var input = narrow.input
            for index in step.indices { input.values[index] += step[index] }
            return loss(input, narrow.parameters)
        }
        for position in NarrowBlock.firstIndex..<gradients.count {
            expectDifference(gradients.names[position], of: gradients[position].values) { step in
                var parameters = narrow.parameters
                for index in step.indices { parameters[position].values[index] += step[index] }
                return loss(narrow.input, parameters)
            }
        }
        // What belongs to other layers is left alone.
        for position in 0..<NarrowBlock.firstIndex { #expect(gradients[position].values.allSatisfy { $0 == 0 }) }
    }

    @Test func backwardAddsToTheGradientsThatAreThere() {
        let narrow = NarrowBlock(seed: 24)
        let (output, tape) = narrow.block.forwardRecording(narrow.input, parameters: narrow.parameters, on: engine)
        var once = narrow.parameters.zeros
        _ = narrow.block.backward(
            output, through: tape, parameters: narrow.parameters, accumulatingInto: &once, on: engine)
        var twice = once
        _ = narrow.block.backward(
            output, through: tape, parameters: narrow.parameters, accumulatingInto: &twice, on: engine)
        for position in 0..<once.count {
            let largest = once[position].values.map(abs).max() ?? 0
            for (first, second) in zip(once[position].values, twice[position].values) {
                #expect(abs(second - 2 * first) <= 1e-5 * largest)
            }
        }
    }

    @Test func numbersOfThreadsChangeNoBit() {
        let narrow = NarrowBlock(seed: 25)
        func everything(threads: Int) -> [Tensor] {
            let engine = ReferenceConvolution(threads: threads)
            let (output, tape) = narrow.block.forwardRecording(narrow.input, parameters: narrow.parameters, on: engine)
            var gradients = narrow.parameters.zeros
            let inputGradient = narrow.block.backward(
                output, through: tape, parameters: narrow.parameters, accumulatingInto: &gradients, on: engine)
            return [output, inputGradient] + (0..<gradients.count).map { gradients[$0] }
        }
        let once = everything(threads: 1)
        for threads in [2, 3, 5] { #expect(everything(threads: threads) == once) }
    }

    private func expectClose(_ values: [Double], _ expected: [Double]) {
        #expect(values.count == expected.count)
        #expect(zip(values, expected).allSatisfy { abs($0 - $1) < 2e-6 * max(1, abs($1)) }, "\(values)")
    }
}

/// Four channels in two heads on 6×7 pixels, its parameters behind those of another layer.
private struct NarrowBlock {
    static let firstIndex = 2
    let block = MultiScaleOutlookAttention(name: "msoa", firstIndex: firstIndex, heads: 2)
    let parameters: ParameterSet
    let input: Tensor

    init(seed: UInt64) {
        var generator = LinearCongruential(seed: seed)
        let architecture = Architecture(
            layers: [.init(name: "conv1", outputChannels: 4, inputChannels: 3, kernelSide: 4)]
                + MultiScaleOutlookAttention.layers(name: "msoa", channels: 4, heads: 2))
        parameters = architecture.defaultParameters(using: &generator)
        input = generator.tensor([4, 6, 7], in: -2...2)
    }
}
