package webimagetext;

import java.util.UUID;
import org.apache.beam.model.pipeline.v1.RunnerApi.Pipeline;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.jobsubmission.JobInvocation;
import org.apache.beam.runners.jobsubmission.JobInvoker;
import org.apache.beam.runners.jobsubmission.JobServerDriver;
import org.apache.beam.runners.jobsubmission.PortablePipelineJarCreator;
import org.apache.beam.runners.jobsubmission.PortablePipelineRunner;
import org.apache.beam.runners.spark.SparkPipelineOptions;
import org.apache.beam.sdk.io.FileSystems;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.PortablePipelineOptions;
import org.apache.beam.sdk.util.construction.PipelineOptionsTranslation;
import org.apache.beam.vendor.grpc.v1p60p1.com.google.protobuf.Struct;
import org.apache.beam.vendor.guava.v32_1_2_jre.com.google.common.util.concurrent.ListeningExecutorService;
import org.kohsuke.args4j.CmdLineException;
import org.kohsuke.args4j.CmdLineParser;
import org.kohsuke.args4j.Option;

/** Beam's job server for Spark, with the arguments of Beam's own; its jobs share one {@link Application}. */
public final class JobServer extends JobServerDriver {
  /** The arguments. */
  public static final class Configuration extends ServerConfiguration {
    @Option(name = "--spark-master-url")
    private String master = "local[*,4]";
  }

  private JobServer(Configuration configuration) {
    super(
        configuration,
        createJobServerFactory(configuration),
        createArtifactServerFactory(configuration),
        () -> new Invoker(configuration.master));
  }

  public static void main(String[] arguments) throws CmdLineException {
    FileSystems.setDefaultPipelineOptions(PipelineOptionsFactory.create());
    Configuration configuration = new Configuration();
    new CmdLineParser(configuration).parseArgument(arguments);
    new JobServer(configuration).run();
  }

  private static final class Invoker extends JobInvoker {
    private final String master;
    private final Application application;

    Invoker(String master) {
      super("spark-job-%d");
      this.master = master;
      this.application = new Application(master);
    }

    @Override
    protected JobInvocation invokeWithExecutor(
        Pipeline pipeline, Struct given, String token, ListeningExecutorService executor) {
      SparkPipelineOptions options = PipelineOptionsTranslation.fromProto(given).as(SparkPipelineOptions.class);
      options.setSparkMaster(master);
      options.setRunner(null);
      options.setAppName(Application.NAME);
      options.setUsesProvidedSparkContext(true);
      String path = options.as(PortablePipelineOptions.class).getOutputExecutablePath();
      PortablePipelineRunner runner =
          path == null || path.isEmpty()
              ? (graph, job) -> application.run(graph, job, options)
              : new PortablePipelineJarCreator(SubmittedJob.class);
      String id = options.getJobName() + "_" + UUID.randomUUID();
      JobInfo job = JobInfo.create(id, options.getJobName(), token, PipelineOptionsTranslation.toProto(options));
      return new JobInvocation(job, executor, pipeline, runner);
    }
  }
}
