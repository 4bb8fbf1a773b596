-- CreateTable
CREATE TABLE "seeder_versions" (
    "seeder" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    CONSTRAINT "seeder_versions_pkey" PRIMARY KEY ("seeder")
);
