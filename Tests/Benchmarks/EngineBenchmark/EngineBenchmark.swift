import AnomalyScoring
import ArgumentParser
import Foundation

/// Our part of `make benchmark`: the networks that every contender computes, and our own times.
///
/// `benchmark.py` beside this folder runs it, and the contenders that it is compared with.
@main
struct EngineBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "EngineBenchmark",
        abstract: "Computes whole frames and training steps for the stopwatch; see benchmark.py.",
        subcommands: [Export.self, WholeFrame.self, TrainingStep.self, Layers.self])
}

extension NetworkSize: ExpressibleByArgument {}

/// Does one piece of work for every line of standard input, and answers with its milliseconds.
///
/// The first line out is `ready`, the precision and how it is computed. Whoever measures several programs lets them
/// work in turn, so that what else the machine does hits all of them alike, and passes over the first turns, which fill
/// caches and memory.
///
/// - Parameter work: Gives back what else the answer should say, empty or numbers.
func serve(_ description: String, _ work: () -> [Double]) {
    say("ready \(description)")
    let clock = ContinuousClock()
    while readLine() != nil {
        var numbers: [Double] = []
        let time = clock.measure { numbers = work() }
        say(([time.milliseconds] + numbers).map { "\($0)" }.joined(separator: " "))
    }
}

private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

extension Duration {
    var seconds: Double { self / .seconds(1) }
    var milliseconds: Double { self / .milliseconds(1) }
}

/// The middle one, or the mean of the middle two.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
