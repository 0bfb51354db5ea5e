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
            #expect(result.errors.contains("0.01 needs at least 99 calibration parts"), "\(result.errors)")
            #expect(!result.errors.contains("training 1"), "\(result.errors)")
        }

        @Test func picturesCannotTrainAndMeasure() throws {
            let directory = try TemporaryDirectory()
            let pictures = try Self.folder(pictures: 15, broken: 0, in: directory)
            try expectRefusal(
                ["train", "--good", pictures, "--calibration", pictures, "--out", directory.file("m.safetensors")],
                status: 65, saying: "15 of the 15 pictures that shall measure")
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

        @Test(arguments: [
            (["--method", "puad", "--alpha", "0.1"], "--alpha belongs to la-ead"),
            (["--method", "la-ead", "--margin", "1"], "--margin belongs to dfsc"),
            (["--method", "efficient-ad", "--no-ema"], "--ema belongs to dfsc"),
            (["--method", "puad", "--separation-mask", "element"], "--separation-mask belongs to dfsc"),
            (["--method", "dfsc", "--feature-source", "teacher"], "--feature-source belongs to la-ead and puad"),
            (["--method", "puad", "--feature-source", "extractor"], "--feature-source extractor belongs to la-ead"),
            (["--method", "puad", "--extractor", "m"], "--extractor belongs to la-ead"),
            (["--method", "la-ead", "--extractor", "m", "--feature-source", "student"], "--extractor has no use"),
            (["--method", "la-ead", "--alpha=-1"], "--alpha must be a number from 0 on"),
            (["--method", "dfsc", "--margin", "2.5"], "--margin must lie between 0 and 2"),
        ])
        func optionsOfOtherMethodsAreRefused(options: [String], reason: String) throws {
            let directory = try TemporaryDirectory()
            try expectRefusal(
                Workshop.trainingOptions() + ["--out", directory.file("m.safetensors")] + options, status: 64,
                saying: reason)
        }

        /// EfficientAD and PUAD train the same networks, so a checkpoint of one is resumed as the other; everything else is
        /// another training.
        @Test func aCheckpointIsResumedByMethodsThatTrainTheSame() throws {
            let directory = try TemporaryDirectory()
            _ = try directory.write(
                try contents(of: "\(try Workshop.trained())/model.safetensors.checkpoint"),
                to: "m.safetensors.checkpoint")
            let command = try Workshop.trainingOptions() + ["--out", directory.file("m.safetensors"), "--resume"]
            try expectRefusal(
                command + ["--method", "dfsc"], status: 65, saying: "made with --method efficient-ad or puad")
            try expectRefusal(command + ["--size", "m"], status: 65, saying: "made with --size s")
            let penalty = "\(try Workshop.pictures())/trays"
            try expectRefusal(
                command + ["--penalty-images", penalty], status: 65, saying: "made with other --penalty-images")

            let resumed = try RunningCommand(command + ["--method", "efficient-ad"]).result()
            #expect(resumed.status == 0, "\(resumed.errors)")
            let (alone, both) = (
                try ModelFile.load(directory.file("m.safetensors")).model,
                try ModelFile.load("\(try Workshop.trained())/model.safetensors").model
            )
            #expect(alone.student == both.student && alone.mapQuantiles == both.mapQuantiles)
            #expect(alone.fusion.rule == .picturableAlone && both.fusion.rule == .sum)
            #expect(alone.fusion.threshold != both.fusion.threshold)
        }

        /// One training of DFSC; the average and the maps are chosen when it is read out.
        @Test func dfscIsTrainedOnceAndReadOutTwice() throws {
            let directory = try TemporaryDirectory()
            let command = try Workshop.trainingOptions() + ["--method", "dfsc", "--margin", "0.4"]
            let out = directory.file("m.safetensors")
            let trained = try RunningCommand(command + ["--out", out]).result()
            #expect(trained.status == 0, "\(trained.errors)")
            #expect(trained.errors.contains("of one channel"), "\(trained.errors)")
            let smooth = try ModelFile.load(out).model
            #expect(smooth.mapOptions.logistic && smooth.trainingRecord.recipe.studentMomentum == 0.99)
            #expect(smooth.trainingRecord.recipe.separationMargin == 0.4)

            let again = try RunningCommand(command + ["--out", out, "--resume", "--no-ema", "--no-sigmoid"]).result()
            #expect(again.status == 0, "\(again.errors)")
            let plain = try ModelFile.load(out).model
            #expect(!plain.mapOptions.logistic && plain.trainingRecord.recipe.studentMomentum == nil)
            #expect(plain.student != smooth.student && plain.autoencoder == smooth.autoencoder)
        }

        /// Twenty seconds of the largest training, and the same extractor for another.
        @Test func anExtractorIsTrainedOnceAndShared() throws {
            let directory = try TemporaryDirectory()
            let command = [
                "train", "--good", "\(try Workshop.pictures())/trays", "--precision", "f16", "--method", "la-ead",
                "--iterations", "1",
            ]
            let first = directory.file("first.safetensors")
            let trained = try RunningCommand(command + ["--out", first]).result()
            #expect(trained.status == 0, "\(trained.errors)")
            let model = try ModelFile.load(first).model
            #expect(model.featureSource == .contextExtractor && model.trainingRecord.recipe.differenceWeight != nil)

            let second = directory.file("second.safetensors")
            let shared = try RunningCommand(
                command + ["--alpha", "0", "--extractor", first, "--out", second]
            ).result()
            #expect(shared.status == 0, "\(shared.errors)")
            #expect(try ModelFile.load(second).model.extractor == model.extractor)

            try expectRefusal(
                command + ["--extractor", "\(try Workshop.trained())/model.safetensors", "--out", second], status: 65,
                saying: "has no extractor")

            // The other networks do not depend on the extractor, so they can be read out without it.
            try expectRefusal(
                command + ["--out", first, "--resume", "--alpha", "0.2"], status: 65,
                saying: "made with --method la-ead --alpha 0.1, training the extractor")
            let checkpoint = try contents(of: first + ".checkpoint")
            let without = try RunningCommand(
                command + ["--out", first, "--resume", "--feature-source", "student"]
            ).result()
            #expect(without.status == 0 && !without.errors.contains("left out"), "\(without.errors)")
            let onStudent = try ModelFile.load(first).model
            #expect(onStudent.extractor == nil && onStudent.featureSource == .studentFormerHalf)
            #expect(onStudent.student == model.student && onStudent.autoencoder == model.autoencoder)
            // Nothing is lost: the extractor is still in the checkpoint.
            #expect(try contents(of: first + ".checkpoint") == checkpoint)
        }

        @Test func penaltyPicturesMustFitIntoTheirMemory() throws {
            let directory = try TemporaryDirectory()
            let pictures = "\(try Workshop.pictures())/trays"
            try expectRefusal(
                Workshop.trainingOptions() + [
                    "--penalty-images", pictures, "--cache-memory", "1MiB", "--out", directory.file("m.safetensors"),
                ], status: 65, saying: "more than --cache-memory", "fewer pictures")
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
