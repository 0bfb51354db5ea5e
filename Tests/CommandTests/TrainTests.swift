import Archive
import Foundation
import Glibc
import Testing

extension CommandTests {
    @Suite struct TrainTests {
        /// A folder of pictures of good parts, with files that are none.
        private static func folder(pictures: Int, broken: Int, in directory: TemporaryDirectory) throws -> String {
            let good = "\(try Workshop.pictures())/trays/train/good"
            let folder = directory.file("parts")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let names = try FileManager.default.contentsOfDirectory(atPath: good).sorted()
            for number in 0..<pictures {
                try FileManager.default.copyItem(
                    atPath: "\(good)/\(names[number % names.count])", toPath: "\(folder)/\(100 + number).png")
            }
            for number in 0..<broken {
                // One that is no picture, and one that ends in its middle.
                let bytes =
                    number == 0 ? Data("not a picture".utf8) : try contents(of: "\(good)/\(names[0])").prefix(5000)
                try bytes.write(to: URL(filePath: "\(folder)/broken\(number).png"))
            }
            return folder
        }

        @Test func goodPartsThatAreNotThereAreNamed() throws {
            let directory = try TemporaryDirectory()
            let out = directory.file("m.safetensors")
            try expectRefusal(
                ["train", "--good", directory.file("absent"), "--out", out], status: 66, saying: "absent")
            try expectRefusal(
                ["train", "--good", directory.path, "--out", out], status: 65, saying: directory.path, "it is empty")
        }

        @Test func tooFewPicturesAndUnreadableOnesAreCounted() throws {
            let directory = try TemporaryDirectory()
            let folder = try Self.folder(pictures: 13, broken: 2, in: directory)
            let command = ["train", "--good", folder, "--out", directory.file("m.safetensors")]
            try expectRefusal(
                command, status: 65, saying: "skipped broken0.png: ", "skipped broken1.png: ", "skipped 2 of 15",
                "found 13", "at least 15 are needed")
            try expectRefusal(command + ["--strict"], status: 65, saying: "broken0.png")
        }

        @Test func optionsForRecordingsAreRefusedWithAFolder() throws {
            let directory = try TemporaryDirectory()
            try expectRefusal(
                Workshop.trainingOptions() + ["--out", directory.file("m.safetensors"), "--take-every", "2"],
                status: 64, saying: "about recordings")
        }

        @Test func aRegionOutsideThePicturesIsNamed() throws {
            let directory = try TemporaryDirectory()
            try expectRefusal(
                Workshop.trainingOptions() + ["--out", directory.file("m.safetensors"), "--region", "300,0,100,100"],
                status: 65, saying: ".png': the region of 100×100 pixels at (300, 0)", "320×320")
        }

        @Test func aTeacherThatIsNoneIsRefusedByTheCheckItFails() throws {
            let directory = try TemporaryDirectory()
            let text = try directory.write(Data("not weights".utf8), to: "text.safetensors")
            let command = try Workshop.trainingOptions() + ["--out", directory.file("m.safetensors"), "--teacher"]
            try expectRefusal(command + [text], status: 65, saying: "check 'container' failed")
            let model = "\(try Workshop.trained())/model.safetensors"
            try expectRefusal(command + [model], status: 65, saying: "check 'architecture' failed")
            try expectRefusal(command + [directory.file("absent")], status: 66, saying: "does not exist")
        }

        @Test(arguments: ["absent/m.safetensors", "file/m.safetensors", "folder"])
        func aPlaceThatCannotBeWrittenIsFoundBeforeTheWork(_ name: String) throws {
            let directory = try TemporaryDirectory()
            _ = try directory.write(Data(), to: "file")
            try FileManager.default.createDirectory(
                atPath: directory.file("folder"), withIntermediateDirectories: false)
            let result = try RunningCommand(Workshop.trainingOptions() + ["--out", directory.file(name)]).result()
            #expect(result.status == 73)
            #expect(result.errors.contains("cannot write"), "\(result.errors)")
            #expect(!result.errors.contains("reading"), "\(result.errors)")
        }

        @Test func aBudgetThatThePicturesCannotPromiseIsFoundBeforeTheWork() throws {
            let directory = try TemporaryDirectory()
            let result = try RunningCommand(
                Workshop.trainingOptions()
                    + ["--out", directory.file("m.safetensors"), "--false-reject-budget", "0.01"]
            ).result()
            #expect(result.status == 65)
            #expect(result.errors.contains("0.01"), "\(result.errors)")
            #expect(!result.errors.contains("training 1"), "\(result.errors)")
        }

        @Test func anInterruptedTrainingResumesToTheFileOfOneThatWasNot() throws {
            let directory = try TemporaryDirectory()
            let command = try Workshop.trainingOptions() + ["--out", directory.file("m.safetensors")]
            let running = try RunningCommand(command)
            try running.waitForErrors(containing: "training 1/\(Workshop.iterations)")
            running.signal(SIGINT)
            let interrupted = try running.result()
            #expect(interrupted.status == 130)
            #expect(interrupted.errors.contains("interrupted"), "\(interrupted.errors)")
            #expect(interrupted.errors.contains("--resume"), "\(interrupted.errors)")
            #expect(directory.exists("m.safetensors.checkpoint") && !directory.exists("m.safetensors"))

            let resumed = try RunningCommand(command + ["--resume"]).result()
            #expect(resumed.status == 0)
            #expect(resumed.errors.contains("resuming after"), "\(resumed.errors)")
            let uninterrupted = try contents(of: "\(try Workshop.trained())/model.safetensors")
            #expect(try contents(of: directory.file("m.safetensors")) == uninterrupted)
        }

        @Test func onlyTheSameTrainingIsResumed() throws {
            let directory = try TemporaryDirectory()
            let command = try Workshop.trainingOptions() + ["--out", directory.file("m.safetensors"), "--resume"]
            try expectRefusal(command, status: 66, saying: "m.safetensors.checkpoint", "train without --resume")
            _ = try directory.write(
                try contents(of: "\(try Workshop.trained())/model.safetensors.checkpoint"),
                to: "m.safetensors.checkpoint")
            try expectRefusal(command + ["--seed", "7"], status: 65, saying: "made with --seed 42")
            let others = try Self.folder(pictures: 15, broken: 0, in: directory)
            try expectRefusal(
                ["train", "--good", others, "--out", directory.file("m.safetensors"), "--resume"], status: 65,
                saying: "made with other pictures")
        }

        @Test func aTimeBudgetEndsWithAModelThatSaysHowFarItCame() throws {
            let directory = try TemporaryDirectory()
            let out = directory.file("m.safetensors")
            let result = try succeedingBeltwatch(
                "train", "--good", "\(try Workshop.pictures())/trays", "--out", out, "--time-budget", "2s", "--json")
            #expect(!result.errors.contains("/70000"), "\(result.errors)")
            let model = try ModelFile.load(out).model
            #expect((1..<1000).contains(model.trainingRecord.iterations))
            struct Summary: Decodable {
                struct Record: Decodable { let iterations: Int }
                let model: String
                let record: Record
            }
            let summary = try JSONDecoder().decode(Summary.self, from: Data(result.output.utf8))
            #expect(summary.model == out && summary.record.iterations == model.trainingRecord.iterations)
        }
    }
}
