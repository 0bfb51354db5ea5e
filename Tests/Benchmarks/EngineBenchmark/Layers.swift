import AnomalyScoring
import Archive
import ArgumentParser
import ConvNets
import Foundation
import Locking
import TensorKernels

/// Where the time of a frame goes, layer by layer.
///
/// The layers are those of `BranchNetworks.observe`, one convolution after the other, as training and calibration
/// compute them. A detector may fuse layers; what its frame takes is the last line.
struct Layers: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measures every layer of a frame and prints a table.")

    @Argument(help: "The model file.")
    var model: String

    @Option(help: "How many threads compute.")
    var threads = 1

    @Option(help: "How many frames the medians are of.")
    var rounds = 7

    @Option(help: "Where to write the table's numbers as JSON.")
    var json: String?

    func run() throws {
        let model = try ModelFile.load(model).model
        let engine = WinogradConvolution(threads: threads)
        let stopwatch = StopwatchEngine(timing: engine)
        let networks = BranchNetworks(
            teacher: NormalisedTeacher(
                network: try PatchDescriptionNetwork(parameters: model.teacher, size: model.size),
                statistics: model.teacherStatistics),
            student: try PatchDescriptionNetwork(parameters: model.student, size: model.size),
            autoencoder: try Autoencoder(parameters: model.autoencoder))
        let detector = try AnomalyDetector(model: model, threads: threads)
        let image = model.selfTest.image.normalised()
        let names = [("teacher", model.teacher), ("student", model.student), ("autoencoder", model.autoencoder)]
            .flatMap { network, parameters in
                parameters.names.filter { $0.hasSuffix(".weight") }.map { "\(network).\($0.dropLast(".weight".count))" }
            }
        let clock = ContinuousClock()
        var passes: [Double] = []
        var frames: [Double] = []
        var laps: [[StopwatchEngine.Lap]] = []
        for round in 0...rounds {
            let pass = clock.measure { _ = networks.observe(image, on: stopwatch) }
            let frame = clock.measure { _ = detector.score(image) }
            let noted = stopwatch.takeLaps()
            // The first round fills caches and memory.
            if round == 0 { continue }
            passes.append(pass.milliseconds)
            frames.append(frame.milliseconds)
            laps.append(noted)
        }
        guard let first = laps.first, first.count == names.count else {
            throw ValidationError("\(laps.first?.count ?? 0) convolutions were timed, the networks have \(names.count)")
        }
        let table = LayerTable(
            threads: threads, peak: PeakMeter(threads: threads), passMilliseconds: median(passes),
            frameMilliseconds: median(frames),
            layers: names.indices.map { index in
                LayerTable.Layer(
                    name: names[index], geometry: first[index].geometry,
                    milliseconds: median(laps.map { $0[index].milliseconds }))
            })
        print(table.text)
        if let json { try JSONEncoder().encode(table).write(to: URL(fileURLWithPath: json)) }
    }
}

/// Lets another engine compute and notes how long every forward convolution took.
final class StopwatchEngine: ConvolutionEngine {
    struct Lap {
        let geometry: ConvolutionGeometry
        let milliseconds: Double
    }

    private let engine: any ConvolutionEngine
    private let laps = Lock<[Lap]>([])

    init(timing engine: any ConvolutionEngine) { self.engine = engine }

    /// What was noted since the last call, in order.
    func takeLaps() -> [Lap] {
        laps.withLock { laps in
            defer { laps = [] }
            return laps
        }
    }

    func forward(
        _ input: Span<Float>, weights: Span<Float>, bias: Span<Float>, activation: Activation,
        geometry: ConvolutionGeometry, into output: inout MutableSpan<Float>
    ) {
        let start = ContinuousClock.now
        engine.forward(
            input, weights: weights, bias: bias, activation: activation, geometry: geometry, into: &output)
        let lap = Lap(geometry: geometry, milliseconds: (ContinuousClock.now - start).milliseconds)
        laps.withLock { $0.append(lap) }
    }

    func inputGradient(
        from outputGradient: Span<Float>, weights: Span<Float>, geometry: ConvolutionGeometry,
        into inputGradient: inout MutableSpan<Float>
    ) {
        engine.inputGradient(from: outputGradient, weights: weights, geometry: geometry, into: &inputGradient)
    }

    func weightGradient(
        from outputGradient: Span<Float>, input: Span<Float>, geometry: ConvolutionGeometry,
        accumulatingInto weightGradient: inout MutableSpan<Float>
    ) {
        engine.weightGradient(
            from: outputGradient, input: input, geometry: geometry, accumulatingInto: &weightGradient)
    }
}

/// The layers of a frame, what they took, and what that is of the machine's peak.
///
/// Work is counted as a direct convolution has it, two operations per multiply-add of the definition. An engine with
/// fewer multiplications can therefore exceed the peak: the share says how far ahead of any direct engine it is.
struct LayerTable: Encodable {
    struct Layer: Encodable {
        let name: String
        let shape: String
        let gigaflop: Double
        let milliseconds: Double

        init(name: String, geometry: ConvolutionGeometry, milliseconds: Double) {
            self.name = name
            shape =
                "\(geometry.inputChannels)x\(geometry.inputHeight)x\(geometry.inputWidth) -> "
                + "\(geometry.outputChannels)x\(geometry.outputHeight)x\(geometry.outputWidth), "
                + "\(geometry.kernelSide)x\(geometry.kernelSide)"
                + (geometry.stride > 1 ? "/\(geometry.stride)" : "")
            gigaflop = 2e-9 * Double(geometry.multiplyAccumulates)
            self.milliseconds = milliseconds
        }
    }

    let threads: Int
    let instructionSet: String
    let peakGigaflops: Double

    /// All layers one after the other, with what is between them.
    let passMilliseconds: Double

    /// A frame as the detector computes it.
    let frameMilliseconds: Double
    let layers: [Layer]

    init(
        threads: Int, peak: PeakMeter, passMilliseconds: Double, frameMilliseconds: Double, layers: [Layer]
    ) {
        self.threads = threads
        instructionSet = peak.instructionSet
        peakGigaflops = peak.flops * 1e-9
        self.passMilliseconds = passMilliseconds
        self.frameMilliseconds = frameMilliseconds
        self.layers = layers
    }

    var text: String {
        let gigaflop = layers.reduce(0) { $0 + $1.gigaflop }
        let milliseconds = layers.reduce(0) { $0 + $1.milliseconds }
        let rest = passMilliseconds - milliseconds
        let header =
            column("layer", 30) + column("input -> output, kernel/stride", 44)
            + ["GFLOP", "ms", "GFLOP/s", "% of peak"].map { right($0, 10) }.joined()
        return
            ([
                "threads \(threads), measured FMA peak \(format(peakGigaflops, 1)) GFLOP/s (\(instructionSet)); "
                    + "GFLOP counted as direct convolution", header,
            ]
            + layers.map { row($0.name, $0.shape, gigaflop: $0.gigaflop, milliseconds: $0.milliseconds) }
            + [
                row("all convolutions", "", gigaflop: gigaflop, milliseconds: milliseconds),
                column("between the convolutions", 74) + right("", 10) + right(format(rest, 2), 10),
                row("layer by layer", "", gigaflop: gigaflop, milliseconds: passMilliseconds),
                row("the detector's frame", "", gigaflop: gigaflop, milliseconds: frameMilliseconds),
            ]).joined(separator: "\n")
    }

    private func row(_ name: String, _ shape: String, gigaflop: Double, milliseconds: Double) -> String {
        let rate = gigaflop / milliseconds * 1e3
        let numbers = [
            format(gigaflop, 3), format(milliseconds, 2), format(rate, 1), format(100 * rate / peakGigaflops, 1),
        ]
        return column(name, 30) + column(shape, 44) + numbers.map { right($0, 10) }.joined()
    }

    private func format(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

    private func column(_ text: String, _ width: Int) -> String {
        text.padding(toLength: width, withPad: " ", startingAt: 0)
    }

    private func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
