import ArgumentParser
import InspectionProtocol

/// The tool beside the daemon: makes models, judges them, replays recordings, watches verdicts, measures the box.
@main
struct Beltwatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "beltwatch",
        abstract: "Learns what good parts look like and says accept or reject.",
        discussion: """
            A first round, from pictures of good parts to verdicts:

              beltwatch train --good parts/ --out parts.safetensors --time-budget 1h
              beltwatch evaluate parts/ --model parts.safetensors
              beltwatch replay line.mkv --model parts.safetensors --every 30
              beltwatchd --config station.yaml
              beltwatch watch tcp://127.0.0.1:5556
              beltwatch journal station.yaml --summary

            On a new box first:

              beltwatch benchmark --cpu

            Exit status: 0 done, 64 wrong usage, 65 unusable input, 66 input not found, 69 endpoint not \
            available, 70 training diverged or the machine computes wrongly, 73 output cannot be written, 77 refused \
            by the station, 78 unusable configuration, 130 interrupted.
            """,
        version: SoftwareVersion.current,
        subcommands: [
            Train.self, Evaluate.self, Replay.self, Watch.self, CommandStation.self, JournalCommand.self,
            Benchmark.self, Synthesize.self, Import.self, Export.self,
        ])
}
